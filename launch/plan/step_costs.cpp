#include "launch/plan/step_costs.h"

#include <algorithm>
#include <cmath>

#include "core/graph/program.h"

namespace convoy {
namespace {

struct OpSeconds {
  double work = 0, start = 0;
};

/// How much longer a product takes than its arithmetic, because the last round of tiles leaves processors idle. The sums of
/// gradients of filters and weights are long, and are cut too: they fill any number.
double idle_factor(const OpDesc& op, double units) {
  if (units == 0 || op.kind == OpKind::conv_backward_filters || op.kind == OpKind::dense_backward_weights) return 1;
  constexpr double kTile = 128;
  const Shape& shape = op.outputs.front().shape;
  const auto columns = static_cast<double>(shape[-1]);
  const double rows = static_cast<double>(shape.elements()) / columns;
  const double tiles = std::ceil(rows / kTile) * std::ceil(columns / kTile);
  return std::ceil(tiles / units) * units / tiles;
}

OpSeconds seconds_of(const OpDesc& op, bool shares_kernel, const Cluster& cluster) {
  if (!needs_kernel(op.kind)) return {};
  const Cost cost = cost_of(op.kind, op.attributes, op.inputs, op.outputs);
  double work = cost.bytes / cluster.bytes_per_second;
  if (cost.multiply_adds > 0)
    work = std::max(work, 2 * cost.multiply_adds / cluster.flops_per_second * idle_factor(op, cluster.units));
  return {work, shares_kernel ? 0 : cluster.op_seconds};
}

/// Calls `each(op number, seconds)`; fills in the sums.
template <typename Each>
ProgramCosts walk(const Graph& graph, const Cluster& cluster, const Each& each) {
  ProgramCosts costs;
  const std::vector<OpDesc> ops = describe_ops(graph, {});
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const bool shares_kernel = i > 0 && may_share_kernel(ops[i].kind) && ops[i - 1].kind == ops[i].kind;
    const OpSeconds seconds = seconds_of(ops[i], shares_kernel, cluster);
    costs.work += seconds.work;
    costs.starts += seconds.start;
    costs.multiply_adds += cost_of(ops[i].kind, ops[i].attributes, ops[i].inputs, ops[i].outputs).multiply_adds;
    each(i, seconds.work + seconds.start);
  }
  return costs;
}

}  // namespace

ProgramCosts costs_of(const TrainingGraph& training, const Cluster& cluster) {
  std::vector<double> segments(1, 0);
  ProgramCosts costs = walk(training.graph, cluster, [&](std::size_t op, double seconds) {
    segments.back() += seconds;
    if (training.graph.ops()[op].kind == OpKind::external) segments.push_back(0);  // a bucket is complete
  });
  costs.segments = std::move(segments);
  return costs;
}

ProgramCosts costs_of(const UpdateGraph& update, const Cluster& cluster) {
  return walk(update.graph, cluster, [](std::size_t, double) {});
}

double scaled_seconds(const ProgramCosts& costs, const ProgramCosts& measured_costs, double measured_seconds) {
  const double starts = std::min(measured_costs.starts, measured_seconds / 2);
  return starts * costs.starts / std::max(measured_costs.starts, 1e-30) +
         costs.work * (measured_seconds - starts) / measured_costs.work;
}

}  // namespace convoy
