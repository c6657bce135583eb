#include "launch/plan/step_costs.h"

#include <algorithm>

#include "core/graph/program.h"

namespace convoy {
namespace {

struct OpSeconds {
  double work = 0, start = 0;
};

OpSeconds seconds_of(const OpDesc& op, bool shares_kernel, const Cluster& cluster) {
  if (!needs_kernel(op.kind)) return {};
  const Cost cost = cost_of(op.kind, op.attributes, op.inputs, op.outputs);
  const double work = std::max(2 * cost.multiply_adds / cluster.flops_per_second, cost.bytes / cluster.bytes_per_second);
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
