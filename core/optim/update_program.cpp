#include "core/optim/update_program.h"

#include <fmt/format.h>

#include "core/optim/scalars.h"

namespace convoy {

UpdateGraph build_update_graph(const Graph& micro_batch, const std::vector<ParameterGradient>& gradients,
                               const SgdOptions& options, std::int64_t micro_batches, const GuardOptions& guard) {
  UpdateGraph update{Graph(micro_batch.real()), {}, {}, {}, {}, {}};
  Graph& graph = update.graph;
  update.scalars = graph.add_input("scalars", {kStepScalars}, DType::f64);
  graph.add_op(OpKind::external, ExternalAttributes{"finish_reduction", 0}, {});
  update.weight = graph.add_input("weight", {1}, graph.real());
  std::vector<Value> guarded{update.weight, update.scalars};
  for (std::int64_t elements : guard.bucket_elements) {
    update.buckets.push_back(graph.add_input(fmt::format("bucket/{}", update.buckets.size()), {elements}, graph.real()));
    guarded.push_back(update.buckets.back());
  }
  graph.add_op(OpKind::step_guard, guard.guard, guarded);
  for (const ParameterGradient& entry : gradients) {
    const ValueInfo& parameter = micro_batch.info(entry.parameter);
    const Shape& shape = parameter.desc.shape;
    UpdateGraph::Parameter updated{.name = parameter.name, .weight = {}, .velocity = {}, .gradient = {}, .copy = {},
                                   .source_gradient = entry.gradient};
    updated.weight = graph.add_parameter(parameter.name, shape, parameter.parameter);
    updated.velocity = graph.add_state("momentum/" + parameter.name, shape, {});
    updated.gradient = graph.add_input("gradient/" + parameter.name, shape, graph.real());
    std::vector<Value> operands{updated.weight, updated.velocity, updated.gradient, update.scalars};
    if (const Value copy = micro_batch.copy_of(parameter.name); copy.exists()) {
      updated.copy = graph.add_copy(updated.weight, micro_batch.info(copy).desc.dtype);
      operands.push_back(updated.copy);
    }
    const bool decays = parameter.parameter.decay || options.decay_biases;
    graph.add_op(OpKind::sgd_update,
                 SgdAttributes{options.momentum, options.nesterov, decays ? options.decay : 0.0, 1.0},
                 operands);
    update.parameters.push_back(std::move(updated));
  }
  for (const RunningStatistic& statistic : micro_batch.running_statistics()) {
    const ValueInfo& state = micro_batch.info(statistic.running);
    UpdateGraph::Statistic updated{state.name, {}, {}, statistic.sample};
    updated.running = graph.add_state(state.name, state.desc.shape, state.parameter.initializer);
    updated.sum = graph.add_input("sum/" + state.name, state.desc.shape, graph.real());
    graph.add_op(OpKind::running_update, RunningAttributes{0.1, micro_batches}, {updated.running, updated.sum, update.scalars});
    update.statistics.push_back(std::move(updated));
  }
  return update;
}

}  // namespace convoy
