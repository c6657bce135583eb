// Batch normalisation over the whole batch (Ioffe & Szegedy 2015, algorithm 1, over all micro-batches). Attributes:
// GlobalBatchNormAttributes. The moments of micro-batches, all of m elements, join around k, the same number for all:
//   mean = k + sum (mean_v - k) / V;  variance = sum (variance_v + (mean_v - k)^2) / V - (mean - k)^2
// Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

/// x must have channels and elements; the inputs of `each` must be one number per channel, that of `pairs` two.
void require_shapes(std::string_view op, Inputs in, std::initializer_list<std::size_t> each, std::size_t pairs = 0) {
  require_rank(op, "x [n, .., c]", in[0].shape, 2, Shape::kMaxRank);
  require(in[0].shape.elements() > 0, op, "x must not be empty, but its shape is {}", in[0].shape.str());
  const std::int64_t channels = in[0].shape[-1];
  for (std::size_t i : each)
    require(in[i].shape == Shape{channels}, op, "input {} must hold one number for each of the {} channels of x, but its "
            "shape is {}", i, channels, in[i].shape.str());
  if (pairs > 0)
    require(in[pairs].shape == Shape{2 * channels}, op, "the sums must hold two numbers for each of the {} channels of x, but "
            "their shape is {}", channels, in[pairs].shape.str());
}

void require_attributes(std::string_view op, const GlobalBatchNormAttributes& a) {
  require(a.epsilon > 0, op, "epsilon must be above 0, but is {}", a.epsilon);
  require(a.micro_batches >= 1, op, "a batch has at least 1 micro-batch, not {}", a.micro_batches);
  require(a.activation == ActivationKind::none || a.activation == ActivationKind::relu, op,
          "can be fused with relu only; add another activation as an op of its own");
}

TensorDesc pairs_of(const TensorDesc& x, DType real) { return {{2 * x.shape[-1]}, wide_beside(real)}; }

}  // namespace

/// x, running mean -> [2 c].
Outputs infer_batch_norm_moments(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "batch_norm_moments";
  as<std::monostate>(kOp, attributes);
  require_inputs(kOp, in, {"x", "running mean"});
  const DType real = require_data(kOp, OpKind::batch_norm_moments, in);
  require_shapes(kOp, in, {1});
  return {pairs_of(in[0], real)};
}

/// x, gamma, beta, running mean, sums -> y, mean, inverse_deviation, unbiased variance.
Outputs infer_batch_norm_global(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "batch_norm_global";
  require_attributes(kOp, as<GlobalBatchNormAttributes>(kOp, attributes));
  require_inputs(kOp, in, {"x", "gamma", "beta", "running mean", "sums"});
  const DType real = require_data(kOp, OpKind::batch_norm_global, in);
  require_shapes(kOp, in, {1, 2, 3}, 4);
  const TensorDesc per_channel{{in[0].shape[-1]}, wide_beside(real)};
  return {in[0], per_channel, per_channel, per_channel};
}

/// x, mean, inverse_deviation, dy -> [2 c].
Outputs infer_batch_norm_global_sums(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "batch_norm_global_sums";
  as<std::monostate>(kOp, attributes);
  require_inputs(kOp, in, {"x", "mean", "inverse_deviation", "dy"});
  const DType real = require_data(kOp, OpKind::batch_norm_global_sums, in);
  require_shapes(kOp, in, {1, 2});
  require_shape(kOp, "dy", in[3].shape, in[0].shape);
  return {pairs_of(in[0], real)};
}

/// x, gamma, mean, inverse_deviation, sums, dy -> dx.
Outputs infer_batch_norm_global_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "batch_norm_global_backward";
  require_attributes(kOp, as<GlobalBatchNormAttributes>(kOp, attributes));
  require_inputs(kOp, in, {"x", "gamma", "mean", "inverse_deviation", "sums", "dy"});
  require_data(kOp, OpKind::batch_norm_global_backward, in);
  require_shapes(kOp, in, {1, 2, 3}, 4);
  require_shape(kOp, "dy", in[5].shape, in[0].shape);
  return {in[0]};
}

Outputs infer_batch_sum(const Attributes& attributes, Inputs in) {
  require(as<BatchSumAttributes>("batch_sum", attributes).index >= 0, "batch_sum", "its index must not be negative");
  require_inputs("batch_sum", in, {"x"});
  require_reals("batch_sum", in);
  return {in[0]};
}

/// With the sums over the batch: dx = gamma / sqrt(v + epsilon) (dy - dbeta / M - xh dgamma / M). This micro-batch's own sums
/// are its part of the parameters' gradients. The moments' own gradient is in dx: nothing flows through input 4.
void gradient_batch_norm_global(GradientContext& g) {
  const auto& a = g.op().as<GlobalBatchNormAttributes>();
  require(a.activation == ActivationKind::none, "batch_norm_global",
          "was fused before it was differentiated; the order of passes is differentiate, then fuse");
  for (int i = 1; i <= 3; ++i)
    require(!g.dy(i).exists(), "batch_norm_global", "its statistics (output {}) cannot be differentiated; use y only", i);
  const Value x = g.input(0), mean = g.output(1), inverse_deviation = g.output(2);
  const Value sums = emit(g, OpKind::batch_norm_global_sums, {}, {x, mean, inverse_deviation, dy_of(g)});
  const std::int64_t channels = g.graph().shape(x)[-1];
  if (g.needs(1)) g.set(1, emit(g, OpKind::slice, ChannelsAttributes{0, channels}, {sums}));
  if (g.needs(2)) g.set(2, emit(g, OpKind::slice, ChannelsAttributes{channels, channels}, {sums}));
  if (!g.needs(0)) return;
  const Value all = emit(g, OpKind::batch_sum, BatchSumAttributes{count_ops(g.graph(), OpKind::batch_sum)}, {sums});
  g.set(0, emit(g, OpKind::batch_norm_global_backward, a, {x, g.input(1), mean, inverse_deviation, all, dy_of(g)}));
}

}  // namespace convoy::ops
