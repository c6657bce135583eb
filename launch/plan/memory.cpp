#include "launch/plan/memory.h"

#include <algorithm>

#include "distributed/exchange_schedule.h"
#include "distributed/fold_plan.h"
#include "distributed/local_sums.h"
#include "launch/train/host_engine.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

std::size_t bytes_of(const Graph& graph, Value value) {
  return booked_bytes(static_cast<std::size_t>(graph.shape(value).elements()) * size_of(graph.info(value).desc.dtype));
}

std::size_t bytes_of(const Graph& graph, Role role) {
  std::size_t bytes = 0;
  for (Value value : graph.with_role(role)) bytes += bytes_of(graph, value);
  return bytes;
}

LargestBuckets largest_of(const TrainingGraph& training, const std::vector<std::int64_t>& elements) {
  LargestBuckets largest;
  for (std::size_t bucket = 0; bucket < elements.size(); ++bucket) {
    const auto count = static_cast<std::size_t>(elements[bucket]);
    largest.elements = std::max(largest.elements, count);
    if (training.buckets.rounding[bucket] != SumRounding::none) largest.rounded = std::max(largest.rounded, count);
  }
  return largest;
}

std::pair<int, int> leaves_of(const RunSpec& spec, const RankShare& share) {
  return leaves_of_rank(spec.mode, spec.local, share.rank, share.ranks, spec.virtual_workers);
}

/// Replicas of local SGD beside the model itself, each with programs and sums of its own.
void add_replicas(MemoryOfRank& memory, std::size_t replicas, std::size_t threads) {
  const std::size_t programs = std::max(replicas, threads / replicas * replicas);
  for (std::size_t MemoryOfRank::*part : {&MemoryOfRank::arena, &MemoryOfRank::scratch, &MemoryOfRank::leaves})
    memory.*part = memory.*part / threads * programs;
  memory.reduction = memory.reduction * programs / threads + replicas * (memory.parameters + memory.slots + memory.state);
  for (std::size_t MemoryOfRank::*part : {&MemoryOfRank::parameters, &MemoryOfRank::slots, &MemoryOfRank::state})
    memory.*part *= replicas + 1;
}

/// Sums of the rank's micro-batches and what the exchange needs, as TreeReducer::memory_bytes().
std::size_t reduction_on_host(const RunSpec& spec, ReductionKind kind, const TrainingGraph& training, const LargestBuckets& largest,
                              const RankShare& share) {
  const auto [first, last] = leaves_of(spec, share);
  const std::vector<std::int64_t> elements = bucket_elements(training);
  const std::vector<bool> lends = lendable_buckets(training);
  std::size_t sums = 0;
  for (std::size_t bucket = 0; bucket < elements.size(); ++bucket)
    sums += local_sum_buffers(first, last, spec.virtual_workers, share.threads,
                              lends[bucket] && training.buckets.rounding[bucket] == SumRounding::none) *
            static_cast<std::size_t>(elements[bucket]) * sizeof(float);
  return sums + exchange_memory_bytes(kind, share.rank, share.ranks, spec.virtual_workers, largest);
}

/// The same on a GPU: places of sums of a rank with several micro-batches, and a slice of every rank's parts.
std::size_t reduction_on_device(const RunSpec& spec, ReductionKind kind, std::size_t gradient, const LargestBuckets& largest,
                                const RankShare& share) {
  const auto [first, last] = share_of(share.rank, share.ranks, 0, spec.virtual_workers);
  std::size_t bytes = last - first > 1 ? static_cast<std::size_t>(make_fold_plan(first, last, spec.virtual_workers).places) * gradient : 0;
  if (kind == ReductionKind::fast || share.ranks == 1) return bytes;
  const DirectParts parts = direct_parts(share.ranks, spec.virtual_workers);
  const auto slice = static_cast<std::size_t>(slice_of(0, share.ranks, largest.elements).size() + kSliceAlignment);
  bytes += slice * parts.owners.size() * sizeof(float);
  if (largest.rounded > 0)
    bytes += (slice * parts.owners.size() + largest.rounded * parts.count_of(share.rank)) * sizeof(std::uint16_t);
  return bytes;
}

}  // namespace

MemoryOfRank memory_of_rank(const RunSpec& spec, ReductionKind reduction, const TrainingGraph& training,
                            const UpdateGraph& update, const Program& program, const RankShare& share) {
  MemoryOfRank memory;
  const std::vector<std::int64_t> elements = bucket_elements(training);
  const auto lanes = static_cast<std::size_t>(share.threads);
  std::size_t gradient = 0;
  for (std::int64_t each : elements) gradient += static_cast<std::size_t>(each) * sizeof(float);
  const LargestBuckets largest = largest_of(training, elements);
  memory.arena = lanes * program.arena_bytes();
  memory.scratch = lanes * program.scratch_bytes();
  memory.leaves = lanes * gradient;
  memory.reduction = share.on_device ? reduction_on_device(spec, reduction, gradient, largest, share)
                                     : reduction_on_host(spec, reduction, training, largest, share);
  memory.parameters = bytes_of(training.graph, Role::parameter) + bytes_of(training.graph, Role::constant) +
                      bytes_of(training.graph, Role::copy);
  for (const UpdateGraph::Parameter& parameter : update.parameters)
    for (const UpdateGraph::Slot& slot : parameter.slots) memory.slots += bytes_of(update.graph, slot.value);
  for (const UpdateGraph::Average& average : update.averages) memory.slots += bytes_of(update.graph, average.average);
  memory.state = bytes_of(training.graph, Role::state);
  constexpr std::size_t kStepsAhead = 3;  // two read ahead, one in use
  const auto [first, last] = leaves_of(spec, share);
  memory.samples = kStepsAhead * static_cast<std::size_t>(last - first) *
                   static_cast<std::size_t>(spec.task.micro_batch * spec.task.image.elements()) * size_of(spec.task.stored);
  if (spec.mode == Mode::local) {
    const auto [first_replica, last_replica] = share_of(share.rank, share.ranks, 0, spec.local.replicas);
    add_replicas(memory, static_cast<std::size_t>(last_replica - first_replica), lanes);
  }
  return memory;
}

}  // namespace convoy
