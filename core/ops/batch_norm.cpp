// Batch normalisation (Ioffe & Szegedy 2015, algorithm 1). Attributes: BatchNormAttributes.
//   per channel c over the m other elements: mean, biased variance v; xh = (x - mean) / sqrt(v + epsilon);
//   y = gamma xh + beta (then + residual and the activation, once fused)
// Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

/// x must have channels and a batch; the inputs [first, first + count) must be one number per channel.
void require_channels(std::string_view op, const BatchNormAttributes& a, Inputs in, std::size_t first,
                      std::size_t count) {
  require(a.epsilon > 0, op, "epsilon must be above 0, but is {}", a.epsilon);
  require(a.activation == ActivationKind::none || a.activation == ActivationKind::relu, op,
          "can be fused with relu only; add another activation as an op of its own");
  require_rank(op, "x [n, .., c]", in[0].shape, 2, Shape::kMaxRank);
  require(in[0].shape.elements() > 0, op, "x must not be empty, but its shape is {}", in[0].shape.str());
  for (std::size_t i = first; i < first + count; ++i)
    require(in[i].shape == Shape{in[0].shape[-1]}, op,
            "input {} must hold one number for each of the {} channels of x, but its shape is {}", i,
            in[0].shape[-1], in[i].shape.str());
}

/// What is added must be shaped as x; it is the last input.
void require_residual(std::string_view op, const BatchNormAttributes& a, Inputs in) {
  if (a.residual) require_shape(op, "residual", in.back().shape, in[0].shape);
}

}  // namespace

/// x, gamma [c], beta [c] [, residual] -> y, mean [c], inverse_deviation [c], unbiased variance [c].
Outputs infer_batch_norm(const Attributes& attributes, Inputs in) {
  const auto& a = as<BatchNormAttributes>("batch_norm", attributes);
  if (a.residual)
    require_inputs("batch_norm", in, {"x", "gamma", "beta", "residual"});
  else
    require_inputs("batch_norm", in, {"x", "gamma", "beta"});
  const DType real = require_data("batch_norm", OpKind::batch_norm, in);
  require_channels("batch_norm", a, in, 1, 2);
  require_residual("batch_norm", a, in);
  const TensorDesc per_channel{{in[0].shape[-1]}, wide_beside(real)};
  return {in[0], per_channel, per_channel, per_channel};
}

/// x, gamma, beta, running mean, running variance [, residual] -> y.
Outputs infer_batch_norm_inference(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "batch_norm_inference";
  const auto& a = as<BatchNormAttributes>(kOp, attributes);
  if (a.residual)
    require_inputs(kOp, in, {"x", "gamma", "beta", "running mean", "running variance", "residual"});
  else
    require_inputs(kOp, in, {"x", "gamma", "beta", "running mean", "running variance"});
  require_data(kOp, OpKind::batch_norm_inference, in);
  require_channels(kOp, a, in, 1, 4);
  require_residual(kOp, a, in);
  return {in[0]};
}

/// dx = gamma dy / sqrt(variance + epsilon): the op itself, applied to dy with mean and beta 0. For frozen layers, whose gamma
/// and beta have no gradient; the running statistics are no function of x.
void gradient_batch_norm_inference(GradientContext& g) {
  const auto& a = g.op().as<BatchNormAttributes>();
  require(a.activation == ActivationKind::none && !a.residual, "batch_norm_inference",
          "was fused before it was differentiated; the order of passes is differentiate, then fuse");
  require(!g.needs(1) && !g.needs(2), "batch_norm_inference",
          "has no gradient of gamma and beta; a graph is differentiated once, from its training form");
  if (!g.needs(0)) return;
  const Shape channels = g.graph().shape(g.input(1));
  const Value zero = g.graph().add_constant("zero", channels, {});
  g.set(0, emit(g, OpKind::batch_norm_inference, a, {dy_of(g), g.input(1), zero, zero, g.input(4)}));
}

/// x, gamma, mean, inverse_deviation, dy [, y if there is an activation] -> dx, dgamma, dbeta [, dresidual].
Outputs infer_batch_norm_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "batch_norm_backward";
  const auto& a = as<BatchNormAttributes>(kOp, attributes);
  require(!a.residual || a.activation != ActivationKind::none, kOp,
          "has a gradient of the residual of its own only behind an activation; without one that is dy");
  if (a.activation == ActivationKind::none)
    require_inputs(kOp, in, {"x", "gamma", "mean", "inverse_deviation", "dy"});
  else
    require_inputs(kOp, in, {"x", "gamma", "mean", "inverse_deviation", "dy", "y"});
  const DType real = require_data(kOp, OpKind::batch_norm_backward, in);
  require_channels(kOp, a, in, 1, 3);
  for (std::size_t i = 4; i < in.size(); ++i) require_shape(kOp, i == 4 ? "dy" : "y", in[i].shape, in[0].shape);
  const TensorDesc per_channel{{in[0].shape[-1]}, wide_beside(real)};
  Outputs outputs{in[0], per_channel, per_channel};
  if (a.residual) outputs.push_back(in[0]);
  return outputs;
}

/// dgamma = sum dy xh;  dbeta = sum dy;  dx = gamma / sqrt(v + epsilon) (dy - dbeta / m - xh dgamma / m)
/// The statistics (outputs 1 to 3) feed the running ones only; nothing flows back through them.
void gradient_batch_norm(GradientContext& g) {
  const auto& a = g.op().as<BatchNormAttributes>();
  require(a.activation == ActivationKind::none && !a.residual, "batch_norm",
          "was fused before it was differentiated; the order of "
          "passes is differentiate, then fuse");
  for (int i = 1; i <= 3; ++i)
    require(!g.dy(i).exists(), "batch_norm", "its statistics (output {}) cannot be differentiated; use y only",
            i);
  if (!g.needs(0) && !g.needs(1) && !g.needs(2)) return;
  const std::vector<Value> gradients =
      g.graph().add_op(OpKind::batch_norm_backward, a,
                       {g.input(0), g.input(1), g.output(1), g.output(2), dy_of(g)}, Role::gradient);
  for (int i = 0; i < 3; ++i)
    if (g.needs(i)) g.set(i, gradients[static_cast<std::size_t>(i)]);
}

}  // namespace convoy::ops
