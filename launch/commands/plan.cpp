// convoy plan: what a run will take, before it runs.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/backend/cpu/isa.h"
#include "core/graph/program_text.h"
#include "launch/check.h"
#include "launch/check_mode.h"
#include "launch/commands/commands.h"
#include "launch/ensemble_options.h"
#include "launch/layer_options.h"
#include "launch/train/run_spec.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

/// Bytes that one rank takes, by what they are for.
struct MemoryOfRank {
  std::size_t arena = 0, scratch = 0, leaves = 0, reduction = 0, parameters = 0, slots = 0, state = 0, samples = 0;
  std::size_t total() const { return arena + scratch + leaves + reduction + parameters + slots + state + samples; }
};

std::size_t bytes_of(const Graph& graph, Value value) {
  return static_cast<std::size_t>(graph.shape(value).elements()) * size_of(graph.info(value).desc.dtype);
}

std::size_t bytes_of(const Graph& graph, Role role) {
  std::size_t bytes = 0;
  for (Value value : graph.with_role(role)) bytes += bytes_of(graph, value);
  return bytes;
}

/// Gradient copies alive on a rank (design, section 4): per thread one for each level of its part of the tree.
std::size_t reduction_copies(int leaves, int threads) {
  std::size_t copies = 1;  // the reduced gradient
  for (int thread = 0; thread < threads; ++thread) {
    const auto [first, last] = share_of(thread, threads, 0, leaves);
    for (int held = last - first; held > 0; held /= 2) ++copies;
  }
  return copies;
}

/// Most that any rank holds.
int most_leaves(const RunSpec& spec, int ranks) {
  int most = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto [first, last] = leaves_of_rank(spec.mode, spec.local, rank, ranks, spec.virtual_workers);
    most = std::max(most, last - first);
  }
  return most;
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

MemoryOfRank memory_of_rank(const RunSpec& spec, const TrainingGraph& training, const UpdateGraph& update,
                            const Program& program, int threads, int leaves) {
  MemoryOfRank memory;
  const auto lanes = static_cast<std::size_t>(threads);
  std::size_t gradient = 0;
  for (std::int64_t elements : bucket_elements(training)) gradient += static_cast<std::size_t>(elements) * 4;
  memory.arena = lanes * program.arena_bytes();
  memory.scratch = lanes * program.scratch_bytes();
  memory.leaves = lanes * gradient;
  memory.reduction = reduction_copies(leaves, threads) * gradient;
  memory.parameters = bytes_of(training.graph, Role::parameter) + bytes_of(training.graph, Role::constant) +
                      bytes_of(training.graph, Role::copy);
  for (const UpdateGraph::Parameter& parameter : update.parameters)
    for (const UpdateGraph::Slot& slot : parameter.slots) memory.slots += bytes_of(update.graph, slot.value);
  for (const UpdateGraph::Average& average : update.averages) memory.slots += bytes_of(update.graph, average.average);
  memory.state = bytes_of(training.graph, Role::state);
  constexpr std::size_t kStepsAhead = 3;  // two read ahead, one in use
  memory.samples = kStepsAhead * static_cast<std::size_t>(leaves) *
                   static_cast<std::size_t>(spec.task.micro_batch * spec.task.image.elements()) *
                   size_of(spec.task.stored);
  return memory;
}

/// Of one run of the micro-batch program, by the convolutions' and dense layers' definition.
double multiply_adds(const Graph& graph) {
  double sum = 0;
  for (const OpDesc& op : describe_ops(graph, {})) sum += cost_of(op.kind, op.attributes, op.inputs, op.outputs).multiply_adds;
  return sum;
}

std::string mebibytes(std::size_t bytes) { return fmt::format("{:12.2f} MiB", static_cast<double>(bytes) / (1 << 20)); }

int plan_model(const Config& config, int ranks) {
  const auto data = open_dataset(dataset_options(config, Split::train));
  RunSpec spec = make_run_spec(config, data->info());
  check_ranks(config, ranks);
  TrainingGraph training = build_training_graph(spec.task, spec.bucket_bytes, spec.gradient_sums);
  check_layer_options(config, training.graph);
  check_towers(config, training.graph);
  spec.optimizer.rate_factors = rate_factors(config, training.graph);
  const auto update_of = [&](const TrainingGraph& of) {
    return build_update_graph(of.graph, of.gradients, spec.optimizer, spec.virtual_workers, guard_options(of, scales_loss(of)));
  };
  const UpdateGraph update = update_of(training);  // of the whole model, whose state is on every rank
  if (spec.mode == Mode::model && ranks > 1)
    training = part_of_tower(training, 0, spec.bucket_bytes, spec.gradient_sums).training;
  set_cpu_isa(config.get<std::string>("device.isa"));
  const auto backend = make_cpu_backend();  // the plan of a GPU's run, too, is made without one: on a login node
  const Program micro_batch(training.graph, *backend,
                            {.threads = spec.threads_per_micro_batch, .outside = training.leaves, .keep = {}});
  const Program update_program(update_of(training).graph, *backend, {});
  const int leaves = most_leaves(spec, ranks);
  const int threads = host_threads(training, threads_for(config.get<int>("device.threads"), usable_cores(), 1, leaves), leaves);
  MemoryOfRank memory = memory_of_rank(spec, training, update, micro_batch, threads, leaves);
  if (spec.mode == Mode::local)
    add_replicas(memory, static_cast<std::size_t>((spec.local.replicas + ranks - 1) / ranks), static_cast<std::size_t>(threads));
  const bool json = config.get<std::string>("format") == "json";
  if (json) {
    nlohmann::ordered_json report{{"model", spec.task.model},
                                  {"ranks", ranks},
                                  {"threads_per_rank", threads},
                                  {"batch", spec.batch},
                                  {"virtual_workers", spec.virtual_workers},
                                  {"micro_batch", spec.task.micro_batch},
                                  {"samples", spec.samples},
                                  {"steps", spec.last_step},
                                  {"buckets", training.buckets.buckets()},
                                  {"recompute", config.get<std::string>("recompute")},
                                  {"micro_batch_multiply_adds", multiply_adds(training.graph)},
                                  {"bytes_per_rank",
                                   {{"activations", memory.arena},
                                    {"scratch", memory.scratch},
                                    {"leaf_gradients", memory.leaves},
                                    {"reduction", memory.reduction},
                                    {"parameters", memory.parameters},
                                    {"optimizer", memory.slots},
                                    {"state", memory.state},
                                    {"samples_read_ahead", memory.samples},
                                    {"total", memory.total()}}}};
    if (config.get<bool>("programs"))
      report["programs"] = {{"micro_batch", program_json(micro_batch)}, {"update", program_json(update_program)}};
    fmt::print("{}\n", report.dump(2));
    return 0;
  }
  fmt::print("{}: batch {} in {} micro-batches of {}; {} samples, {} steps; {} ranks with {} threads, at most {} "
             "micro-batches per rank, gradients in {} bucket{}\n{:.1f} million multiply-adds in a micro-batch, forward and backward"
             "{}\n\nMemory of one rank\n",
             spec.task.model, spec.batch, spec.virtual_workers, spec.task.micro_batch, spec.samples, spec.last_step, ranks,
             threads, leaves, training.buckets.buckets(), training.buckets.buckets() == 1 ? "" : "s",
             1e-6 * multiply_adds(training.graph),
             spec.task.recompute == Recompute::off ? "" : ", activations made again (" + config.get<std::string>("recompute") + ")");
  const std::pair<const char*, std::size_t> rows[] = {{"activations (arena)", memory.arena},
                                                      {"scratch of kernels", memory.scratch},
                                                      {"gradients of leaves", memory.leaves},
                                                      {"reduction tree", memory.reduction},
                                                      {"parameters", memory.parameters},
                                                      {"optimizer slots", memory.slots},
                                                      {"batch-norm state", memory.state},
                                                      {"samples read ahead", memory.samples},
                                                      {"total", memory.total()}};
  for (const auto& [name, bytes] : rows) fmt::print("  {:<22}{}\n", name, mebibytes(bytes));
  if (config.get<bool>("programs"))
    fmt::print("\nMicro-batch program\n{}\nUpdate program\n{}", program_text(micro_batch), program_text(update_program));
  return 0;
}

/// Of an ensemble: its first member, on as many ranks as its team has (train/ensemble.h).
int plan(const Config& config) {
  const int ranks = config.get<int>("ranks");
  if (config.get<std::string>("mode") != "ensemble") return plan_model(config, ranks);
  const std::vector<Member> members = members_of(config);
  const int teams = std::min(ranks, static_cast<int>(members.size()));
  if (config.get<std::string>("format") == "text")
    fmt::print("member 1 of {}, trained by {} teams of at most {} ranks\n", members.size(), teams, (ranks + teams - 1) / teams);
  return plan_model(members.front().config, (ranks + teams - 1) / teams);
}

}  // namespace

Command plan_command() {
  return {"plan",
          "say what a run will take, before it runs",
          {{.path = "plan",
            .summary = "say what a run will take, before it runs",
            .usage = "plan --config=FILE [--ranks=N] [--programs]",
            .description = "Builds the two programs of a run without running them and prints the memory that one rank takes, "
                           "by purpose. --programs prints every op of both programs with its kernel, the place of its "
                           "results in the arena and the steps between which they live. Of an ensemble it is the first member.",
            .examples = "convoy plan --config=experiments/lenet/fashion-mnist.cfg --ranks=4\n"
                        "convoy plan --config=experiments/resnet/fashion-mnist.cfg --programs",
            .check = check_run,
            .run = plan}}};
}

}  // namespace convoy
