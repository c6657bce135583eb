#include "core/graph/op_groups.h"

#include <algorithm>

namespace convoy {
namespace {

bool same_op(const OpDesc& a, const OpDesc& b) {
  return a.kind == b.kind && a.attributes == b.attributes && a.inputs == b.inputs && a.outputs == b.outputs &&
         a.wanted == b.wanted;
}

/// Operands and results each once; results that are not wanted are not written.
Cost cost_of_group(const std::vector<OpDesc>& ops) {
  Cost sum;
  for (const OpDesc& op : ops) {
    const Cost cost = cost_of(op.kind, op.attributes, op.inputs, op.outputs);
    sum.multiply_adds += cost.multiply_adds;
    sum.bytes += cost.bytes;
    for (std::size_t i = 0; i < op.outputs.size() && !op.wanted.empty(); ++i)
      if (!op.wanted[i])
        sum.bytes -= static_cast<double>(op.outputs[i].shape.elements()) * static_cast<double>(size_of(op.outputs[i].dtype));
  }
  return sum;
}

}  // namespace

std::vector<OpGroup> group_ops(const Graph& graph, const Backend& backend, const ProgramOptions& options) {
  const std::vector<OpDesc> descs = describe_ops(graph, options);
  std::vector<OpGroup> groups;
  for (std::size_t first = 0, end = 0; first < descs.size(); first = end) {
    end = first + 1;
    if (!needs_kernel(descs[first].kind)) continue;
    if (may_share_kernel(descs[first].kind)) {
      while (end < descs.size() && descs[end].kind == descs[first].kind) ++end;
      const std::span<const OpDesc> together = std::span(descs).subspan(first, end - first);
      if (end - first > 1 && backend.bind_together(together) == nullptr) end = first + 1;
    }
    OpGroup group{{descs.begin() + static_cast<std::ptrdiff_t>(first), descs.begin() + static_cast<std::ptrdiff_t>(end)},
                  graph.ops()[first].layer, 1, {}};
    const auto known = std::find_if(groups.begin(), groups.end(), [&group](const OpGroup& other) {
      return std::equal(other.ops.begin(), other.ops.end(), group.ops.begin(), group.ops.end(), same_op);
    });
    if (known != groups.end()) {
      ++known->count;
    } else {
      group.cost = cost_of_group(group.ops);
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

std::set<DType> product_types(const std::vector<OpGroup>& groups) {
  std::set<DType> types;
  for (const OpGroup& group : groups)
    if (group.cost.multiply_adds > 0) types.insert(group.type());
  return types;
}

double ceiling_seconds(const std::vector<OpGroup>& groups, const Limits& limits) {
  double seconds = 0;
  for (const OpGroup& group : groups) seconds += group.count * least_seconds(group.cost, group.type(), limits);
  return seconds;
}

}  // namespace convoy
