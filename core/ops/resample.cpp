// Resampling of images to other extents. Attributes: ResampleAttributes. Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

Shape resampled(const Shape& x, const ResampleAttributes& a) {
  Shape y = x;
  for (int axis = 0; axis < a.axes; ++axis) y = y.with(1 + axis, a.size[static_cast<std::size_t>(axis)]);
  return y;
}

void check(std::string_view op, const ResampleAttributes& a, const Shape& x) {
  require(a.axes >= 1 && a.axes <= 3, op, "has 1 to 3 spatial axes, not {}", a.axes);
  require_rank(op, "x [n, s.., c]", x, a.axes + 2, a.axes + 2);
  for (int axis = 0; axis < a.axes; ++axis)
    require(a.size[static_cast<std::size_t>(axis)] >= 1, op, "axis {} is to have {} positions; at least 1 is needed", axis,
            a.size[static_cast<std::size_t>(axis)]);
}

}  // namespace

/// x [n, s.., c] -> y [n, size.., c].
Outputs infer_resample(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "resample";
  const auto& a = as<ResampleAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"x"});
  check(kOp, a, in[0].shape);
  return {{resampled(in[0].shape, a), require_data(kOp, OpKind::resample, in)}};
}

/// dy [n, size.., c] -> dx of shape `input`.
Outputs infer_resample_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "resample_backward";
  const auto& a = as<ResampleAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"dy"});
  check(kOp, a, a.input);
  require_shape(kOp, "dy", in[0].shape, resampled(a.input, a));
  return {{a.input, require_data(kOp, OpKind::resample_backward, in)}};
}

/// Each pixel's gradient is the sum over the positions that read it, weighted as they did.
void gradient_resample(GradientContext& g) {
  if (!g.needs(0)) return;
  ResampleAttributes a = g.op().as<ResampleAttributes>();
  a.input = g.graph().shape(g.input(0));
  g.set(0, emit(g, OpKind::resample_backward, a, {dy_of(g)}));
}

}  // namespace convoy::ops
