#include "core/optim/update_program.h"

#include <fmt/format.h>

#include "core/optim/scalars.h"
#include "core/ops/update_operands.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

class Builder {
 public:
  Builder(const Graph& micro_batch, const OptimizerOptions& options, std::int64_t micro_batches)
      : micro_batch_(micro_batch), options_(options), micro_batches_(micro_batches), update_{.graph = Graph(micro_batch.real())} {}

  UpdateGraph build(const std::vector<ParameterGradient>& gradients, const GuardOptions& guard) {
    add_guard(guard);
    for (const ParameterGradient& entry : gradients) add_parameter(entry);
    add_norms();
    for (const UpdateGraph::Parameter& parameter : update_.parameters) add_update(parameter);
    for (const RunningStatistic& statistic : micro_batch_.running_statistics()) add_statistic(statistic);
    if (options_.average != AverageKind::none) {
      for (const UpdateGraph::Parameter& parameter : update_.parameters) add_average(parameter.name, parameter.weight);
      for (const UpdateGraph::Statistic& statistic : update_.statistics) add_average(statistic.name, statistic.running);
    }
    return std::move(update_);
  }

 private:
  void add_guard(const GuardOptions& guard) {
    update_.scalars = graph().add_input("scalars", {kStepScalars}, DType::f64);
    graph().add_op(OpKind::external, ExternalAttributes{"finish_reduction", 0}, {});
    update_.weight = graph().add_input("weight", {1}, graph().real());
    std::vector<Value> guarded{update_.weight, update_.scalars};
    for (std::int64_t elements : guard.bucket_elements) {
      update_.buckets.push_back(
          graph().add_input(fmt::format("bucket/{}", update_.buckets.size()), {elements}, graph().real()));
      guarded.push_back(update_.buckets.back());
    }
    graph().add_op(OpKind::step_guard, guard.guard, guarded);
  }

  void add_parameter(const ParameterGradient& entry) {
    const ValueInfo& parameter = micro_batch_.info(entry.parameter);
    const Shape& shape = parameter.desc.shape;
    UpdateGraph::Parameter updated{
        .name = parameter.name, .weight = {}, .gradient = {}, .slots = {}, .copy = {}, .source_gradient = entry.gradient};
    updated.weight = graph().add_parameter(parameter.name, shape, parameter.parameter);
    for (const std::string_view slot : slot_names(options_.rule)) {
      const std::string name = fmt::format("{}/{}", slot, parameter.name);
      updated.slots.push_back({name, graph().add_state(name, shape, {})});
    }
    updated.gradient = graph().add_input("gradient/" + parameter.name, shape, graph().real());
    if (const Value copy = micro_batch_.copy_of(parameter.name); copy.exists())
      updated.copy = graph().add_copy(updated.weight, micro_batch_.info(copy).desc.dtype);
    update_.parameters.push_back(std::move(updated));
  }

  /// Of all gradients, then for lars of all weights.
  void add_norms() {
    const bool adapts = options_.rule == Optimizer::lars;
    if (!adapts && options_.clip_norm <= 0) return;
    std::vector<Value> tensors;
    for (const UpdateGraph::Parameter& parameter : update_.parameters) tensors.push_back(parameter.gradient);
    if (adapts)
      for (const UpdateGraph::Parameter& parameter : update_.parameters) tensors.push_back(parameter.weight);
    norms_ = graph().add(OpKind::squared_norms, {}, tensors);
    if (options_.clip_norm > 0)
      graph().add_op(OpKind::clip_norm, ClipAttributes{options_.clip_norm, tensor_count()}, {norms_, update_.scalars});
  }

  void add_update(const UpdateGraph::Parameter& parameter) {
    const ParameterInfo& info = graph().info(parameter.weight).parameter;
    const auto factor = options_.rate_factors.find(parameter.name);
    UpdateAttributes attributes{.rule = options_.rule,
                                .momentum = options_.momentum,
                                .nesterov = options_.nesterov,
                                .decay = info.decay || options_.decay_biases ? options_.decay : 0.0,
                                .decoupled = options_.decoupled,
                                .rate_factor = factor == options_.rate_factors.end() ? 1.0 : factor->second,
                                .beta1 = options_.beta1,
                                .beta2 = options_.beta2,
                                .rho = options_.rho,
                                .epsilon = options_.epsilon,
                                .trust = options_.trust,
                                .clip_value = options_.clip_value};
    if (options_.rule == Optimizer::lars && info.decay) {
      attributes.gradient_norm = updates_;
      attributes.weight_norm = updates_ + static_cast<int>(tensor_count());
    }
    ++updates_;
    std::vector<Value> operands{parameter.weight};
    for (const UpdateGraph::Slot& slot : parameter.slots) operands.push_back(slot.value);
    operands.push_back(parameter.gradient);
    operands.push_back(update_.scalars);
    if (takes_norms(attributes)) operands.push_back(norms_);
    if (parameter.copy.exists()) operands.push_back(parameter.copy);
    graph().add_op(OpKind::weight_update, attributes, operands);
  }

  void add_statistic(const RunningStatistic& statistic) {
    const ValueInfo& state = micro_batch_.info(statistic.running);
    UpdateGraph::Statistic updated{state.name, {}, {}, statistic.sample};
    updated.running = graph().add_state(state.name, state.desc.shape, state.parameter.initializer);
    updated.sum = graph().add_input("sum/" + state.name, state.desc.shape, graph().real());
    graph().add_op(OpKind::running_update, RunningAttributes{0.1, micro_batches_},
                   {updated.running, updated.sum, update_.scalars});
    update_.statistics.push_back(std::move(updated));
  }

  void add_average(const std::string& name, Value value) {
    const Value average = graph().add_state("average/" + name, graph().shape(value), {});
    const bool ema = options_.average == AverageKind::ema;
    graph().add_op(OpKind::average_update,
                   AverageAttributes{ema ? options_.average_decay : 0.0, ema ? 0 : options_.average_from},
                   {average, value, update_.scalars});
    update_.averages.push_back({name, average, value});
  }

  Graph& graph() { return update_.graph; }
  std::int64_t tensor_count() const { return static_cast<std::int64_t>(update_.parameters.size()); }

  const Graph& micro_batch_;
  const OptimizerOptions& options_;
  std::int64_t micro_batches_;
  UpdateGraph update_;
  Value norms_;
  int updates_ = 0;
};

}  // namespace

std::vector<std::string_view> slot_names(Optimizer rule) {
  switch (rule) {
    case Optimizer::sgd:
    case Optimizer::lars: return {"momentum"};
    case Optimizer::rmsprop: return {"squares", "momentum"};
    case Optimizer::adam: return {"mean", "squares"};
    case Optimizer::adagrad: return {"squares"};
  }
  throw UsageError("optimizer: unknown rule");
}

std::string_view name_of(Optimizer rule) {
  switch (rule) {
    case Optimizer::sgd: return "sgd";
    case Optimizer::rmsprop: return "rmsprop";
    case Optimizer::adam: return "adam";
    case Optimizer::adagrad: return "adagrad";
    case Optimizer::lars: return "lars";
  }
  throw UsageError("optimizer: unknown rule");
}

UpdateGraph build_update_graph(const Graph& micro_batch, const std::vector<ParameterGradient>& gradients,
                               const OptimizerOptions& options, std::int64_t micro_batches, const GuardOptions& guard) {
  return Builder(micro_batch, options, micro_batches).build(gradients, guard);
}

}  // namespace convoy
