// LeNet-5's partial connections (LeCun et al. 1998, table I). Attributes: ConnectionsAttributes.
//   filters[o, k, c] = compact[l, k] where link l is (o, c), and 0 where no link is
// Cost: bytes only.
#include <set>

#include "core/ops/families.h"

namespace convoy::ops {
namespace {

void require_links(std::string_view op, const ConnectionsAttributes& a) {
  require(a.outputs >= 1 && a.inputs >= 1, op, "needs at least 1 output and 1 input map, but has {} and {}",
          a.outputs, a.inputs);
  require(!a.links.empty(), op, "needs at least one link");
  std::set<std::pair<int, int>> seen;
  for (const auto& [output, input] : a.links) {
    require(output >= 0 && output < a.outputs && input >= 0 && input < a.inputs, op,
            "link ({}, {}) names a map beyond the {} outputs and {} inputs", output, input, a.outputs,
            a.inputs);
    require(seen.insert({output, input}).second, op, "link ({}, {}) is listed twice", output, input);
  }
}

}  // namespace

/// compact [links, k..] -> filters [o, k.., c].
Outputs infer_scatter_connections(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "scatter_connections";
  const auto& a = as<ConnectionsAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"compact"});
  require_wide(kOp, in);
  require_links(kOp, a);
  const Shape& compact = in[0].shape;
  require_rank(kOp, "compact [links, k..]", compact, 2, 4);
  require(compact[0] == static_cast<std::int64_t>(a.links.size()), kOp,
          "compact filters must be one per link ({}), but their shape is {}", a.links.size(), compact.str());
  std::vector<std::int64_t> extents(compact.extents().begin(), compact.extents().end());
  extents[0] = a.outputs;
  extents.push_back(a.inputs);
  return {{Shape(extents), in[0].dtype}};
}

/// filters [o, k.., c] -> compact [links, k..].
Outputs infer_gather_connections(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "gather_connections";
  const auto& a = as<ConnectionsAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"filters"});
  require_wide(kOp, in);
  require_links(kOp, a);
  const Shape& filters = in[0].shape;
  require_rank(kOp, "filters [o, k.., c]", filters, 3, 5);
  require(
      filters[0] == a.outputs && filters[-1] == a.inputs, kOp,
      "filters must lead from {} input maps (last axis) to {} output maps (first axis), but their shape is {}",
      a.inputs, a.outputs, filters.str());
  std::vector<std::int64_t> extents(filters.extents().begin(), filters.extents().end() - 1);
  extents[0] = static_cast<std::int64_t>(a.links.size());
  return {{Shape(extents), in[0].dtype}};
}

/// A link's gradient is that of its place in the filters; the zeros are constants.
void gradient_scatter_connections(GradientContext& g) {
  if (g.needs(0)) g.set(0, emit(g, OpKind::gather_connections, g.op().as<ConnectionsAttributes>(), {dy_of(g)}));
}

/// The reverse: places without a link were not read and get zero.
void gradient_gather_connections(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::scatter_connections, g.op().as<ConnectionsAttributes>(), {dy_of(g)}));
}

}  // namespace convoy::ops
