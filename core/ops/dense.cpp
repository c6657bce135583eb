// Dense (fully connected) layer and its two gradients. Attributes: DenseAttributes.
//   y[n, u] = b[u] + sum over f: x[n, f] w[u, f]
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

void require_attributes(std::string_view op, const DenseAttributes& a) {
  require(a.units >= 1, op, "must have at least 1 unit, but units is {}", a.units);
  require(a.activation == ActivationKind::none || a.activation == ActivationKind::relu, op,
          "can be fused with relu only; add another activation as an op of its own");
}

}  // namespace

/// x [n, f], weights [units, f] [, bias [units]] -> [n, units].
Outputs infer_dense(const Attributes& attributes, Inputs in) {
  const auto& a = as<DenseAttributes>("dense", attributes);
  require_attributes("dense", a);
  if (a.bias)
    require_inputs("dense", in, {"x", "weights", "bias"});
  else
    require_inputs("dense", in, {"x", "weights"});
  const DType real = require_data("dense", OpKind::dense, in);
  const Shape& x = in[0].shape;
  require(x.rank() == 2, "dense", "x must be [n, f], but its shape is {}; flatten it first", x.str());
  require_shape("dense", "weights", in[1].shape, {a.units, x[1]});
  if (a.bias) require_shape("dense", "bias", in[2].shape, {a.units});
  return {{{x[0], a.units}, real}};
}

/// dy [n, units], weights [units, f] -> dx [n, f].
Outputs infer_dense_backward_data(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "dense_backward_data";
  const auto& a = as<DenseAttributes>(kOp, attributes);
  require_attributes(kOp, a);
  require_inputs(kOp, in, {"dy", "weights"});
  const DType real = require_data(kOp, OpKind::dense_backward_data, in);
  require_rank(kOp, "dy [n, units]", in[0].shape, 2, 2);
  require_rank(kOp, "weights [units, f]", in[1].shape, 2, 2);
  require_shape(kOp, "dy", in[0].shape, {in[0].shape[0], a.units});
  require_shape(kOp, "weights", in[1].shape, {a.units, in[1].shape[1]});
  return {{{in[0].shape[0], in[1].shape[1]}, real}};
}

/// x [n, f], dy [n, units] -> dweights [units, f] [, dbias [units]].
Outputs infer_dense_backward_weights(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "dense_backward_weights";
  const auto& a = as<DenseAttributes>(kOp, attributes);
  require_attributes(kOp, a);
  require_inputs(kOp, in, {"x", "dy"});
  const DType real = require_data(kOp, OpKind::dense_backward_weights, in);
  require_rank(kOp, "x [n, f]", in[0].shape, 2, 2);
  require_shape(kOp, "dy", in[1].shape, {in[0].shape[0], a.units});
  Outputs outputs{{{a.units, in[0].shape[1]}, wide_beside(real)}};
  if (a.bias) outputs.push_back({{a.units}, wide_beside(real)});
  return outputs;
}

/// n f units: for the layer and for dx, whose second operand is weights [units, f] too.
double multiply_adds_dense(const Attributes&, Inputs in, std::span<const TensorDesc>) {
  return static_cast<double>(in[0].shape[0]) * static_cast<double>(in[1].shape.elements());
}

/// n f units: for dweights, whose operands are x [n, f] and dy [n, units].
double multiply_adds_dense_backward_weights(const Attributes&, Inputs in, std::span<const TensorDesc>) {
  return static_cast<double>(in[0].shape.elements()) * static_cast<double>(in[1].shape[1]);
}

/// dx[n, f] = sum over u: dy[n, u] w[u, f];  dw[u, f] = sum over n: dy[n, u] x[n, f];  db[u] = sum over n:
/// dy[n, u]
void gradient_dense(GradientContext& g) {
  const auto& a = g.op().as<DenseAttributes>();
  require(a.activation == ActivationKind::none, "dense",
          "was fused before it was differentiated; the order of passes "
          "is differentiate, then fuse");
  if (g.needs(0)) g.set(0, emit(g, OpKind::dense_backward_data, a, {dy_of(g), g.input(1)}));
  if (!g.needs(1) && !(a.bias && g.needs(2))) return;
  const std::vector<Value> gradients =
      g.graph().add_op(OpKind::dense_backward_weights, a, {g.input(0), dy_of(g)}, Role::gradient);
  if (g.needs(1)) g.set(1, gradients[0]);
  if (a.bias && g.needs(2)) g.set(2, gradients[1]);
}

}  // namespace convoy::ops
