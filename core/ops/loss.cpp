// Losses with sample weights, and the top-k count. Attributes: LossAttributes, TopKAttributes.
//   loss = scale sum over samples i of w_i l_i, with l_i as attributes.h says
// Cost: bytes only.
//
// A loss is where differentiation begins: its gradient rules take d loss / d loss = 1 and never read dy(0).
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

/// weights [n] for the n samples of x [n, ..].
void require_weights(std::string_view op, const Shape& x, const TensorDesc& weights) {
  require_rank(op, "input 0 [n, ..]", x, 1, Shape::kMaxRank);
  require(x.elements() > 0, op, "input 0 must not be empty, but its shape is {}", x.str());
  require_shape(op, "weights", weights.shape, {x[0]});
}

void check_smoothing(std::string_view op, const LossAttributes& a) {
  require(a.smoothing >= 0 && a.smoothing < 1, op, "smoothing is the share of the target that all classes have alike, in [0, 1), but is {}",
          a.smoothing);
}

/// logits or probabilities [n, .., k], labels i32 [n, ..], weights [n].
void require_classes(std::string_view op, Inputs in) {
  require_reals(op, in, {0, 2});
  require_wide(op, "input 0", in[0]);
  const Shape& logits = in[0].shape;
  require_rank(op, "input 0 [n, .., k]", logits, 2, Shape::kMaxRank);
  require_weights(op, logits, in[2]);
  require_type(op, "labels", in[1], DType::i32);
  require_shape(op, "labels", in[1].shape,
                Shape(logits.extents().first(static_cast<std::size_t>(logits.rank()) - 1)));
}

/// prediction, target of one shape, weights [n].
void require_targets(std::string_view op, Inputs in) {
  require_wide(op, in);
  require_weights(op, in[0].shape, in[2]);
  require_shape(op, "target", in[1].shape, in[0].shape);
}

/// The operands of a loss' gradient, perhaps with a loss scale [1] behind them.
void require_backward_inputs(std::string_view op, Inputs in, std::initializer_list<std::string_view> names) {
  if (in.size() != names.size() + 1) return require_inputs(op, in, names);
  require_reals(op, in, {0, static_cast<int>(names.size())});
  require_shape(op, "the loss scale", in.back().shape, {1});
}

/// Only the scalar loss may be differentiated, and not with respect to labels' stand-ins.
void require_root(GradientContext& g, std::initializer_list<int> constant_inputs) {
  const std::string_view op = op_def(g.op().kind).name;
  for (int i = 1; i < static_cast<int>(g.op().outputs.size()); ++i)
    require(!g.dy(i).exists(), op, "only the loss (output 0) can be differentiated, not output {}", i);
  for (int i : constant_inputs)
    require(!g.needs(i), op, "input {} is data and has no gradient; feed it from a graph input or a constant",
            i);
}

}  // namespace

/// logits [n, .., k], labels i32 [n, ..], weights [n] -> loss [1], probabilities [n, .., k], l [n].
Outputs infer_softmax_cross_entropy(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "softmax_cross_entropy";
  check_smoothing(kOp, as<LossAttributes>(kOp, attributes));
  require_inputs(kOp, in, {"logits", "labels", "weights"});
  require_classes(kOp, in);
  const DType real = in[0].dtype;
  return {{{1}, real}, in[0], {{in[0].shape[0]}, real}};
}

/// probabilities, labels, weights [, loss scale] -> gradient of the logits.
Outputs infer_softmax_cross_entropy_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "softmax_cross_entropy_backward";
  check_smoothing(kOp, as<LossAttributes>(kOp, attributes));
  require_backward_inputs(kOp, in, {"probabilities", "labels", "weights"});
  require_classes(kOp, in);
  return {in[0]};
}

/// prediction, target, weights [n] -> loss [1], l [n].
Outputs infer_mean_squared(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "mean_squared";
  as<LossAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"prediction", "target", "weights"});
  require_targets(kOp, in);
  const DType real = in[0].dtype;
  return {{{1}, real}, {{in[0].shape[0]}, real}};
}

/// prediction, target, weights [, loss scale] -> gradient of the prediction.
Outputs infer_mean_squared_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "mean_squared_backward";
  as<LossAttributes>(kOp, attributes);
  require_backward_inputs(kOp, in, {"prediction", "target", "weights"});
  require_targets(kOp, in.first(3));
  return {in[0]};
}

/// logits, target, weights [n] -> loss [1], probabilities, l [n].
Outputs infer_binary_cross_entropy(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "binary_cross_entropy";
  as<LossAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"logits", "target", "weights"});
  require_targets(kOp, in);
  const DType real = in[0].dtype;
  return {{{1}, real}, in[0], {{in[0].shape[0]}, real}};
}

/// probabilities, target, weights [, loss scale] -> gradient of the logits.
Outputs infer_binary_cross_entropy_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "binary_cross_entropy_backward";
  as<LossAttributes>(kOp, attributes);
  require_backward_inputs(kOp, in, {"probabilities", "target", "weights"});
  require_targets(kOp, in.first(3));
  return {in[0]};
}

/// logits [n, k], labels i32 [n], weights [n] -> [1]. A count of hits: nothing flows back.
Outputs infer_top_k(const Attributes& attributes, Inputs in) {
  const auto& a = as<TopKAttributes>("top_k", attributes);
  require_inputs("top_k", in, {"logits", "labels", "weights"});
  require_classes("top_k", in);
  require_rank("top_k", "logits [n, k]", in[0].shape, 2, 2);
  require(a.k >= 1 && a.k <= in[0].shape[1], "top_k", "k must be in [1, {}], the number of classes, but is {}",
          in[0].shape[1], a.k);
  return {{{1}, in[0].dtype}};
}

/// da[i, .., j] = scale w_i (p[i, .., j] - [j = label]) / positions
void gradient_softmax_cross_entropy(GradientContext& g) {
  require_root(g, {2});
  if (!g.needs(0)) return;
  const auto& a = g.op().as<LossAttributes>();
  g.set(0, emit(g, OpKind::softmax_cross_entropy_backward, a, {g.output(1), g.input(1), g.input(2)}));
}

/// dy[i, e] = scale w_i 2 (y[i, e] - t[i, e]) / elements of a sample; (y - t)^2 is symmetric, so dt swaps the
/// two.
void gradient_mean_squared(GradientContext& g) {
  require_root(g, {2});
  const auto& a = g.op().as<LossAttributes>();
  if (g.needs(0)) g.set(0, emit(g, OpKind::mean_squared_backward, a, {g.input(0), g.input(1), g.input(2)}));
  if (g.needs(1)) g.set(1, emit(g, OpKind::mean_squared_backward, a, {g.input(1), g.input(0), g.input(2)}));
}

/// da[i, e] = scale w_i (sigmoid(a[i, e]) - t[i, e]) / elements of a sample
void gradient_binary_cross_entropy(GradientContext& g) {
  require_root(g, {1, 2});
  if (!g.needs(0)) return;
  const auto& a = g.op().as<LossAttributes>();
  g.set(0, emit(g, OpKind::binary_cross_entropy_backward, a, {g.output(1), g.input(1), g.input(2)}));
}

}  // namespace convoy::ops
