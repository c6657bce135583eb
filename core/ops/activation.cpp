// Activations, element by element. Attributes: ActivationAttributes.
//   relu: max(x, 0)   tanh: tanh(x)   sigmoid: 1 / (1 + exp(-x))   scaled_tanh: 1.7159 tanh(2 x / 3)
// Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {

/// x -> y of the same shape.
Outputs infer_activation(const Attributes& attributes, Inputs in) {
  const auto& a = as<ActivationAttributes>("activation", attributes);
  require(a.kind != ActivationKind::none, "activation",
          "needs a function (relu, tanh, sigmoid, scaled_tanh), but its "
          "kind is none; leave the op out");
  require_inputs("activation", in, {"x"});
  require_data("activation", OpKind::activation, in);
  return {in[0]};
}

/// y, dy -> dx.
Outputs infer_activation_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "activation_backward";
  const auto& a = as<ActivationAttributes>(kOp, attributes);
  require(a.kind != ActivationKind::none, kOp, "needs a function, but its kind is none");
  require_inputs(kOp, in, {"y", "dy"});
  require_data(kOp, OpKind::activation_backward, in);
  require_shape(kOp, "dy", in[1].shape, in[0].shape);
  return {in[0]};
}

/// dx = dy f'(x), and in terms of y, so that x need not be kept:
///   relu: [y > 0] (0 at 0)   tanh: 1 - y^2   sigmoid: y (1 - y)   scaled_tanh: 2/3 (1.7159 - y^2 / 1.7159)
void gradient_activation(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::activation_backward, g.op().as<ActivationAttributes>(), {g.output(0), dy_of(g)}));
}

}  // namespace convoy::ops
