// Convolution (cross-correlation) and its two gradients. Attributes: ConvAttributes, ConvBackwardAttributes.
//   y[n, t, o] = b[o] + sum over taps k, channels c of o's group: x[n, p(t, k), c] f[o, k, c]
//   p(t, k) = source(t stride + k dilation - pad_low), per axis; source maps padding to a pixel or to zero
#include "core/ops/families.h"
#include "core/ops/window.h"

namespace convoy::ops {
namespace {

Shape filters_shape(const ConvAttributes& a, const Shape& x) {
  std::vector<std::int64_t> extents{a.channels};
  extents.insert(extents.end(), a.kernel.begin(), a.kernel.begin() + a.axes);
  extents.push_back(x[-1] / a.groups);
  return Shape(extents);
}

/// Shape of y for an x of that shape; throws if the attributes do not fit.
Shape conv_output(std::string_view op, const ConvAttributes& a, const Shape& x) {
  const Window window = window_of(a, x, op);
  require(a.channels >= 1, op, "must make at least 1 channel, but channels is {}", a.channels);
  require(a.groups >= 1, op, "groups must be at least 1, but is {}", a.groups);
  require(x[-1] % a.groups == 0, op,
          "the {} input channels cannot be split into {} groups; choose a divisor of {}", x[-1], a.groups,
          x[-1]);
  require(a.channels % a.groups == 0, op,
          "the {} output channels cannot be split into {} groups; choose a divisor of {}", a.channels, a.groups,
          a.channels);
  require(a.activation == ActivationKind::none || a.activation == ActivationKind::relu, op,
          "can be fused with relu only; add another activation as an op of its own");
  return window_output(window, a.axes, x[0], a.channels);
}

/// One multiply-add for each element of y, tap and input channel of its group; taps in the padding count too,
/// as in the literature: kernel c/groups o t.
double multiply_adds(const ConvAttributes& a, const Shape& x) {
  const Shape filters = filters_shape(a, x);
  return static_cast<double>(conv_output("conv", a, x).elements()) *
         static_cast<double>(filters.elements(1, filters.rank()));
}

}  // namespace

/// x [n, s.., c], filters [o, k.., c / groups] [, bias [o]] -> [n, t.., o].
Outputs infer_conv(const Attributes& attributes, Inputs in) {
  const auto& a = as<ConvAttributes>("conv", attributes);
  if (a.bias)
    require_inputs("conv", in, {"x", "filters", "bias"});
  else
    require_inputs("conv", in, {"x", "filters"});
  const DType real = require_data("conv", OpKind::conv, in);
  const Shape y = conv_output("conv", a, in[0].shape);
  require_shape("conv", "filters", in[1].shape, filters_shape(a, in[0].shape));
  if (a.bias) require_shape("conv", "bias", in[2].shape, {a.channels});
  return {{y, real}};
}

/// dy [n, t.., o], filters -> dx of shape attributes.input.
Outputs infer_conv_backward_data(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "conv_backward_data";
  const auto& a = as<ConvBackwardAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"dy", "filters"});
  const DType real = require_data(kOp, OpKind::conv_backward_data, in);
  require_shape(kOp, "dy", in[0].shape, conv_output(kOp, a.conv, a.input));
  require_shape(kOp, "filters", in[1].shape, filters_shape(a.conv, a.input));
  return {{a.input, real}};
}

/// x, dy -> dfilters [, dbias].
Outputs infer_conv_backward_filters(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "conv_backward_filters";
  const auto& a = as<ConvBackwardAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"x", "dy"});
  const DType real = require_data(kOp, OpKind::conv_backward_filters, in);
  require_shape(kOp, "x", in[0].shape, a.input);
  require_shape(kOp, "dy", in[1].shape, conv_output(kOp, a.conv, a.input));
  Outputs outputs{{filters_shape(a.conv, a.input), wide_beside(real)}};
  if (a.conv.bias) outputs.push_back({{a.conv.channels}, wide_beside(real)});
  return outputs;
}

double multiply_adds_conv(const Attributes& attributes, Inputs in, std::span<const TensorDesc>) {
  return multiply_adds(std::get<ConvAttributes>(attributes), in[0].shape);
}

double multiply_adds_conv_backward_data(const Attributes& attributes, Inputs, std::span<const TensorDesc>) {
  const auto& a = std::get<ConvBackwardAttributes>(attributes);
  return multiply_adds(a.conv, a.input);
}

double multiply_adds_conv_backward_filters(const Attributes& attributes, Inputs, std::span<const TensorDesc>) {
  const auto& a = std::get<ConvBackwardAttributes>(attributes);
  return multiply_adds(a.conv, a.input);
}

/// With p(t, k) as above:
///   dx[n, p, c] = sum over (t, k) with p(t, k) = p, and o of c's group: dy[n, t, o] f[o, k, c]
///   df[o, k, c] = sum over n, t: dy[n, t, o] x[n, p(t, k), c]
///   db[o]       = sum over n, t: dy[n, t, o]
void gradient_conv(GradientContext& g) {
  const auto& a = g.op().as<ConvAttributes>();
  require(a.activation == ActivationKind::none, "conv",
          "was fused before it was differentiated; the order of passes is "
          "differentiate, then fuse");
  const ConvBackwardAttributes backward{a, g.graph().shape(g.input(0))};
  if (g.needs(0)) g.set(0, emit(g, OpKind::conv_backward_data, backward, {dy_of(g), g.input(1)}));
  if (!g.needs(1) && !(a.bias && g.needs(2))) return;
  const std::vector<Value> gradients =
      g.graph().add_op(OpKind::conv_backward_filters, backward, {g.input(0), dy_of(g)}, Role::gradient);
  if (g.needs(1)) g.set(1, gradients[0]);
  if (a.bias && g.needs(2)) g.set(2, gradients[1]);
}

}  // namespace convoy::ops
