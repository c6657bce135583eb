#include "launch/train/async/slice_optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/ops/guard_math.h"
#include "core/optim/scalars.h"
#include "distributed/server/slice_math.h"

namespace convoy {
namespace {

/// A graph whose parameters are the pieces of the model's that lie in the slice, as if a model had no others.
struct PieceGraph {
  Graph graph;
  std::vector<ParameterGradient> gradients;
};

PieceGraph piece_graph(const TrainingGraph& training, const FlatLayout& layout, const SliceRange& range) {
  PieceGraph pieces;
  for (const FlatLayout::Part& part : layout.parameters) {
    const std::int64_t count = std::min(part.end, range.end) - std::max(part.begin, range.begin);
    if (count <= 0) continue;
    const ParameterInfo& info = training.graph.info(training.graph.find(part.name)).parameter;
    const Value parameter = pieces.graph.add_parameter(part.name, Shape{count}, info);
    pieces.gradients.push_back({parameter, pieces.graph.add_input("leaf/" + part.name, Shape{count}, DType::f32)});
  }
  if (range.statistics > 0)
    for (const FlatLayout::Part& part : layout.statistics) {
      const Shape shape{part.end - part.begin};
      const Value running = pieces.graph.add_state(part.name, shape, {});
      pieces.graph.running_statistics().push_back({running, pieces.graph.add_input("leaf/" + part.name, shape, DType::f32)});
    }
  return pieces;
}

std::vector<std::string> slot_prefixes(const OptimizerOptions& optimizer) {
  std::vector<std::string> prefixes;
  for (const std::string_view slot : slot_names(optimizer.rule)) prefixes.push_back(std::string(slot) + "/");
  return prefixes;
}

Tensor floats(std::int64_t count) { return Tensor(Shape{count}, DType::f32); }

}  // namespace

SliceOptimizer::SliceOptimizer(const TrainingGraph& training, const FlatLayout& layout, const SliceRange& range,
                               const SliceOptions& options, const Backend& backend, const ModelState& state,
                               std::int64_t updates)
    : range_(range), options_(options), scalars_(Shape{kStepScalars}, DType::f64) {
  PieceGraph pieces = piece_graph(training, layout, range);
  GuardOptions guard;
  guard.bucket_elements = {kPushScalars};  // whether gradients are finite, their worker has looked at
  update_ = build_update_graph(pieces.graph, pieces.gradients, options_.optimizer, options_.micro_batches, guard);
  const auto filled = [&](const std::vector<FlatLayout::Part>& parts, const TensorMap& tensors, const std::string& prefix,
                          std::int64_t begin, std::int64_t end) {
    Tensor flat = floats(end - begin);
    gather(parts, tensors, prefix, begin, end, flat.values<float>().data());
    return flat;
  };
  values_ = filled(layout.parameters, state.parameters, "", range.begin, range.end);
  statistics_ = filled(layout.statistics, state.state, "", 0, range.statistics);
  for (const std::string& prefix : slot_prefixes(options_.optimizer))
    slots_.push_back(filled(layout.parameters, state.slots, prefix, range.begin, range.end));
  if (options_.optimizer.average != AverageKind::none) {
    average_ = filled(layout.parameters, state.averages, "", range.begin, range.end);
    statistics_average_ = filled(layout.statistics, state.averages, "", 0, range.statistics);
  }
  auto scalars = scalars_.values<double>();
  math::set_loss_scale(1, scalars.data());
  scalars[kUpdates] = static_cast<double>(updates);
  build(layout, backend);
}

void SliceOptimizer::build(const FlatLayout& layout, const Backend& backend) {
  program_ = std::make_unique<Program>(update_.graph, backend, ProgramOptions{});
  program_->bind_memory(update_.scalars, scalars_.bytes());
  float* const values = values_.values<float>().data();
  std::int64_t at = 0;
  for (const UpdateGraph::Parameter& parameter : update_.parameters) {
    program_->bind_memory(parameter.weight, values + at);
    for (std::size_t slot = 0; slot < parameter.slots.size(); ++slot)
      program_->bind_memory(parameter.slots[slot].value, slots_[slot].values<float>().data() + at);
    at += update_.graph.shape(parameter.weight).elements();
  }
  for (std::size_t i = 0; i < update_.statistics.size(); ++i)
    program_->bind_memory(update_.statistics[i].running, statistics_.values<float>().data() + layout.statistics[i].begin);
  std::int64_t parameter_at = 0, statistic_at = 0;
  for (const UpdateGraph::Average& average : update_.averages) {
    const bool is_parameter = parameter_at < range_.parameters();
    std::int64_t& place = is_parameter ? parameter_at : statistic_at;
    program_->bind_memory(average.average, (is_parameter ? average_ : statistics_average_).values<float>().data() + place);
    place += update_.graph.shape(average.average).elements();
  }
}

/// The leaf: gradients, statistics, scalars.
void SliceOptimizer::bind_leaf(float* sum) {
  if (sum == bound_) return;
  bound_ = sum;
  float* at = sum;
  for (const UpdateGraph::Parameter& parameter : update_.parameters) {
    program_->bind_memory(parameter.gradient, at);
    at += update_.graph.shape(parameter.weight).elements();
  }
  for (const UpdateGraph::Statistic& statistic : update_.statistics) {
    program_->bind_memory(statistic.sum, at);
    at += update_.graph.shape(statistic.running).elements();
  }
  program_->bind_memory(update_.weight, at + kPushWeight);
  program_->bind_memory(update_.buckets.front(), at);
}

void SliceOptimizer::apply(const Update& update, float* sum, const float* pulled) {
  const float weight = sum[range_.parameters() + range_.statistics + kPushWeight];
  if (pulled && options_.compensation > 0)
    compensate(static_cast<float>(options_.compensation), weight, values(), pulled, sum, parameters());
  bind_leaf(sum);
  auto scalars = scalars_.values<double>();
  scalars[kLearningRate] = update.rate;
  scalars[kWanted] = 1;
  program_->run();
}

std::int64_t SliceOptimizer::updates() const { return static_cast<std::int64_t>(scalars_.values<double>()[kUpdates]); }

std::vector<const Tensor*> SliceOptimizer::kept() const {
  std::vector<const Tensor*> all{&values_};
  for (const Tensor& slot : slots_) all.push_back(&slot);
  if (options_.optimizer.average != AverageKind::none) all.push_back(&average_);
  all.push_back(&statistics_);
  if (options_.optimizer.average != AverageKind::none) all.push_back(&statistics_average_);
  return all;
}

std::size_t SliceOptimizer::state() const {
  std::size_t count = 0;
  for (const Tensor* tensor : kept()) count += tensor->values<float>().size();
  return count;
}

void SliceOptimizer::write_state(float* to) const {
  for (const Tensor* tensor : kept()) {
    const auto values = tensor->values<float>();
    std::memcpy(to, values.data(), values.size_bytes());
    to += values.size();
  }
}

std::size_t SliceOptimizer::memory_bytes() const { return state() * sizeof(float) + program_->arena_bytes() + program_->scratch_bytes(); }

void put_state(const FlatLayout& layout, const SliceRange& range, const OptimizerOptions& optimizer, const float* from,
               ModelState& state) {
  const auto take = [&](const std::vector<FlatLayout::Part>& parts, TensorMap& tensors, const std::string& prefix,
                        std::int64_t begin, std::int64_t end) {
    scatter(parts, tensors, prefix, begin, end, from);
    from += end - begin;
  };
  take(layout.parameters, state.parameters, "", range.begin, range.end);
  for (const std::string& prefix : slot_prefixes(optimizer)) take(layout.parameters, state.slots, prefix, range.begin, range.end);
  const bool averages = optimizer.average != AverageKind::none;
  if (averages) take(layout.parameters, state.averages, "", range.begin, range.end);
  take(layout.statistics, state.state, "", 0, range.statistics);
  if (averages) take(layout.statistics, state.averages, "", 0, range.statistics);
}

}  // namespace convoy
