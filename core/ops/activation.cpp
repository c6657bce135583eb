// Activations, element by element. Attributes: ActivationAttributes.
//   relu: max(x, 0)   tanh: tanh(x)   sigmoid: 1 / (1 + exp(-x))   scaled_tanh: 1.7159 tanh(2 x / 3)
//   leaky_relu: x > 0 ? x : slope x   elu: x > 0 ? x : slope (exp(x) - 1)   negative_part: min(x, 0)
//   complement: 1 - x   scale: slope x
// Cost: bytes only.
#include <cmath>

#include "core/ops/families.h"

namespace convoy::ops {
namespace {

void check(std::string_view op, const ActivationAttributes& a) {
  require(a.kind != ActivationKind::none, op, "needs a function (relu, tanh, ..), but its kind is none; leave the op out");
  const bool positive = a.kind == ActivationKind::leaky_relu || a.kind == ActivationKind::elu;
  require(std::isfinite(a.slope) && (!positive || a.slope > 0), op,
          "leaky_relu and elu have a slope above 0, so that the sign of y is that of x, but it is {}", a.slope);
}

}  // namespace

/// x -> y of the same shape.
Outputs infer_activation(const Attributes& attributes, Inputs in) {
  const auto& a = as<ActivationAttributes>("activation", attributes);
  check("activation", a);
  require_inputs("activation", in, {"x"});
  require_data("activation", OpKind::activation, in);
  return {in[0]};
}

/// y, dy -> dx.
Outputs infer_activation_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "activation_backward";
  const auto& a = as<ActivationAttributes>(kOp, attributes);
  check(kOp, a);
  require_inputs(kOp, in, {"y", "dy"});
  require_data(kOp, OpKind::activation_backward, in);
  require_shape(kOp, "dy", in[1].shape, in[0].shape);
  return {in[0]};
}

/// dx = dy f'(x), and in terms of y, so that x need not be kept:
///   relu: [y > 0] (0 at 0)   tanh: 1 - y^2   sigmoid: y (1 - y)   scaled_tanh: 2/3 (1.7159 - y^2 / 1.7159)
///   leaky_relu: y > 0 ? 1 : slope   elu: y > 0 ? 1 : y + slope   negative_part: [y < 0]   complement: -1   scale: slope
void gradient_activation(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::activation_backward, g.op().as<ActivationAttributes>(), {g.output(0), dy_of(g)}));
}

}  // namespace convoy::ops
