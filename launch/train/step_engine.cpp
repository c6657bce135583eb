#include "launch/train/step_engine.h"

#include <algorithm>

#include "core/ops/guard_math.h"
#include "core/optim/scalars.h"
#include "core/tensor/error.h"
#include "launch/train/engine_parts.h"

namespace convoy {
namespace {

constexpr double kFirstLossScale = 65536;

}  // namespace

std::vector<std::int64_t> bucket_elements(const TrainingGraph& training) {
  std::vector<std::int64_t> elements = training.buckets.elements;
  elements.back() += kAsked;
  return elements;
}

GuardOptions guard_options(const TrainingGraph& training, bool scaling) {
  GuardOptions options{.bucket_elements = bucket_elements(training), .guard = {}};
  options.guard.scaling = scaling;
  options.guard.halts = true;
  return options;
}

bool scales_loss(const TrainingGraph& training) { return training.graph.find("loss_scale").exists(); }

std::vector<std::int64_t> batch_sum_elements(const TrainingGraph& training) {
  std::vector<std::int64_t> elements;
  for (const Op& op : training.graph.ops()) {
    if (op.kind != OpKind::batch_sum) continue;
    const auto index = static_cast<std::size_t>(op.as<BatchSumAttributes>().index);
    if (elements.size() <= index) elements.resize(index + 1);
    elements[index] = training.graph.shape(op.inputs.front()).elements();
  }
  return elements;
}

int host_threads(const TrainingGraph& training, int threads, int micro_batches) {
  return batch_sum_elements(training).empty() ? threads : micro_batches;
}

double first_loss_scale(const TrainingGraph& training) { return scales_loss(training) ? kFirstLossScale : 1; }

void bind_state(Program& program, const StateMemory& memory) {
  for (std::size_t id = 0; id < program.graph().values().size(); ++id) {
    const ValueInfo& value = program.graph().values()[id];
    if (lies_in_state(value.role))
      program.bind_memory({static_cast<int>(id)}, memory.of(value));
  }
}

void bind_update_state(Program& program, const UpdateGraph& update, const StateMemory& memory, void* scalars) {
  const ModelState& state = memory.state();
  program.bind_memory(update.scalars, scalars);
  for (const UpdateGraph::Parameter& parameter : update.parameters) {
    program.bind_memory(parameter.weight, memory.of(state.parameters.at(parameter.name).bytes()));
    for (const UpdateGraph::Slot& slot : parameter.slots) program.bind_memory(slot.value, memory.of(state.slots.at(slot.name).bytes()));
    if (parameter.copy.exists()) program.bind_memory(parameter.copy, memory.of(state.copies.at(parameter.name).bytes()));
  }
  for (const UpdateGraph::Statistic& statistic : update.statistics)
    program.bind_memory(statistic.running, memory.of(state.state.at(statistic.name).bytes()));
  for (const UpdateGraph::Average& average : update.averages)
    program.bind_memory(average.average, memory.of(state.averages.at(average.name).bytes()));
}

void bind_update_sums(Program& program, const UpdateGraph& update, const TrainingGraph& training,
                      const std::vector<float*>& roots) {
  const auto sum = [&](Value leaf) {
    const LeafSlot& slot = training.buckets.slot_of(leaf);
    return roots[static_cast<std::size_t>(slot.bucket)] + slot.offset;
  };
  program.bind_memory(update.weight, sum(training.weight));
  for (std::size_t bucket = 0; bucket < update.buckets.size(); ++bucket)
    program.bind_memory(update.buckets[bucket], roots[bucket]);
  for (const UpdateGraph::Parameter& parameter : update.parameters)
    program.bind_memory(parameter.gradient, sum(parameter.source_gradient));
  for (const UpdateGraph::Statistic& statistic : update.statistics)
    program.bind_memory(statistic.sum, sum(statistic.source_sample));
}

KeptScalars kept_in(const double* scalars) {
  return {scalars[kLossScale], static_cast<std::int64_t>(scalars[kGoodSteps]), static_cast<std::int64_t>(scalars[kUpdates])};
}

void keep_in(double* scalars, const KeptScalars& kept) {
  math::set_loss_scale(kept.loss_scale, scalars);
  scalars[kGoodSteps] = static_cast<double>(kept.good_steps);
  scalars[kUpdates] = static_cast<double>(kept.updates);
}

void note_samples(const MicroBatch& batch, std::vector<EpochLedger>& ledgers) {
  const auto keys = batch.keys.values<std::uint64_t>();
  for (std::size_t row = 0; row < keys.size() / 2; ++row)
    add_to(ledgers, {static_cast<std::int64_t>(keys[2 * row]), 1, keys[2 * row + 1], keys[2 * row + 1]});
}

void add_to(std::vector<EpochLedger>& ledgers, const EpochLedger& part) {
  auto entry = std::find_if(ledgers.begin(), ledgers.end(),
                            [&](const EpochLedger& ledger) { return ledger.epoch == part.epoch; });
  if (entry == ledgers.end()) entry = ledgers.insert(ledgers.end(), EpochLedger{part.epoch, 0, 0, 0});
  entry->count += part.count;
  entry->sum += part.sum;
  entry->exclusive_or ^= part.exclusive_or;
}

std::unique_ptr<StepEngine> make_step_engine(const TrainingGraph& training, const UpdateGraph& update,
                                             const Backend& backend, StateMemory& memory, const EngineOptions& options) {
  if (!backend.device().is_host() && !batch_sum_elements(training).empty())
    throw UsageError("model.batch-norm = global is computed on the cpu only: micro-batches meet within a step, which the "
                     "programs of a device do not; give --device=cpu, or model.batch-norm = micro-batch");
  if (options.mode == Mode::local) {
    if (!backend.device().is_host())
      throw UsageError("mode = local is computed on the cpu only: the replicas of a rank share its cores; give --device=cpu, or "
                       "--mode=sync");
    return make_local_engine(training, update, backend, memory, options);
  }
  if (options.mode == Mode::model && options.tower >= 0) {
    if (!backend.device().is_host())
      throw UsageError("mode = model exchanges what towers make on the cpu only; give --device=cpu, or start one rank");
    return make_tower_engine(training, backend, memory, options);
  }
  return backend.device().is_host() ? make_host_engine(training, update, backend, memory, options)
                                    : make_device_engine(training, update, backend, memory, options);
}

}  // namespace convoy
