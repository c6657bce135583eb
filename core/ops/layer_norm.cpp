// Layer normalisation of rows. Attributes: LayerNormAttributes. Gain and bias are multiply_channels and add_channels behind it.
// Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

Shape rows_of(const Shape& x) { return Shape(x.extents().first(static_cast<std::size_t>(x.rank()) - 1)); }

void check(std::string_view op, const LayerNormAttributes& a, Inputs in) {
  require(a.epsilon > 0, op, "epsilon must be positive, but is {}", a.epsilon);
  require_rank(op, "input 0 [.., c]", in[0].shape, 2, Shape::kMaxRank);
}

}  // namespace

/// x [.., c] -> y as x, inverse deviation [..].
Outputs infer_layer_norm(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "layer_norm";
  const auto& a = as<LayerNormAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"x"});
  check(kOp, a, in);
  const DType data = require_data(kOp, OpKind::layer_norm, in);
  return {in[0], {rows_of(in[0].shape), wide_beside(data)}};
}

/// y, inverse deviation, dy -> dx.
Outputs infer_layer_norm_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "layer_norm_backward";
  const auto& a = as<LayerNormAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"y", "inverse deviation", "dy"});
  check(kOp, a, in);
  require_data(kOp, OpKind::layer_norm_backward, in);
  require_shape(kOp, "inverse deviation", in[1].shape, rows_of(in[0].shape));
  require_shape(kOp, "dy", in[2].shape, in[0].shape);
  return {in[0]};
}

/// dx = d (dy - mean(dy) - y mean(dy y)), means over the row.
void gradient_layer_norm(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::layer_norm_backward, g.op().as<LayerNormAttributes>(), {g.output(0), g.output(1), dy_of(g)}));
}

}  // namespace convoy::ops
