// Sums and products, element by element and per channel. No attributes. Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

void require_same_shape(std::string_view op, Inputs in) {
  for (std::size_t i = 1; i < in.size(); ++i)
    require(in[i].shape == in[0].shape, op,
            "works on values of one shape, but input 0 is {} and input {} is {}", in[0].shape.str(), i,
            in[i].shape.str());
}

/// x [.., c] and one number per channel.
Outputs infer_per_channel(OpKind kind, std::string_view name, const Attributes& attributes, Inputs in) {
  const std::string_view op = op_def(kind).name;
  as<std::monostate>(op, attributes);
  require_inputs(op, in, {"x", name});
  require_data(op, kind, in);
  require_rank(op, "x [.., c]", in[0].shape, 1, Shape::kMaxRank);
  require_shape(op, name, in[1].shape, {in[0].shape[-1]});
  return {in[0]};
}

}  // namespace

/// Two or more values of one shape -> their sum, added from left to right.
Outputs infer_add(const Attributes& attributes, Inputs in) {
  as<std::monostate>("add", attributes);
  require(in.size() >= 2, "add", "takes two or more inputs, but {} were given", in.size());
  require_reals("add", in);
  require_same_shape("add", in);
  return {in[0]};
}

/// Two values of one shape -> their product.
Outputs infer_multiply(const Attributes& attributes, Inputs in) {
  as<std::monostate>("multiply", attributes);
  require_inputs("multiply", in, {"a", "b"});
  require_reals("multiply", in);
  require_same_shape("multiply", in);
  return {in[0]};
}

/// x [.., c], b [c] -> x + b on every position.
Outputs infer_add_channels(const Attributes& attributes, Inputs in) {
  return infer_per_channel(OpKind::add_channels, "b", attributes, in);
}

/// x [.., c], g [c] -> x g on every position.
Outputs infer_multiply_channels(const Attributes& attributes, Inputs in) {
  return infer_per_channel(OpKind::multiply_channels, "g", attributes, in);
}

/// x [.., c] -> [c].
Outputs infer_sum_to_channels(const Attributes& attributes, Inputs in) {
  as<std::monostate>("sum_to_channels", attributes);
  require_inputs("sum_to_channels", in, {"x"});
  const DType real = require_data("sum_to_channels", OpKind::sum_to_channels, in);
  require_rank("sum_to_channels", "x [.., c]", in[0].shape, 1, Shape::kMaxRank);
  return {{{in[0].shape[-1]}, wide_beside(real)}};
}

/// x [.., c], y [.., c] -> [c].
Outputs infer_dot_to_channels(const Attributes& attributes, Inputs in) {
  as<std::monostate>("dot_to_channels", attributes);
  require_inputs("dot_to_channels", in, {"x", "y"});
  const DType real = require_data("dot_to_channels", OpKind::dot_to_channels, in);
  require_rank("dot_to_channels", "x [.., c]", in[0].shape, 1, Shape::kMaxRank);
  require_same_shape("dot_to_channels", in);
  return {{{in[0].shape[-1]}, wide_beside(real)}};
}

/// weights [n] -> [1]: their sum. Sample weights are data; nothing flows back.
Outputs infer_sum_weights(const Attributes& attributes, Inputs in) {
  as<std::monostate>("sum_weights", attributes);
  require_inputs("sum_weights", in, {"weights"});
  const DType real = require_wide("sum_weights", in);
  require_rank("sum_weights", "weights [n]", in[0].shape, 1, 1);
  return {{{1}, real}};
}

/// y = x1 + x2 + ..: every term's gradient is dy itself.
void gradient_add(GradientContext& g) {
  for (int i = 0; i < static_cast<int>(g.op().inputs.size()); ++i)
    if (g.needs(i)) g.set(i, dy_of(g));
}

/// y = a b: da = dy b, db = dy a.
void gradient_multiply(GradientContext& g) {
  if (g.needs(0)) g.set(0, emit(g, OpKind::multiply, {}, {dy_of(g), g.input(1)}));
  if (g.needs(1)) g.set(1, emit(g, OpKind::multiply, {}, {dy_of(g), g.input(0)}));
}

/// y = x + b[c]: dx = dy, db[c] = sum of dy over all positions.
void gradient_add_channels(GradientContext& g) {
  if (g.needs(0)) g.set(0, dy_of(g));
  if (g.needs(1)) g.set(1, emit(g, OpKind::sum_to_channels, {}, {dy_of(g)}));
}

/// y = x g[c]: dx = dy g[c], dg[c] = sum of dy x over all positions.
void gradient_multiply_channels(GradientContext& g) {
  if (g.needs(0)) g.set(0, emit(g, OpKind::multiply_channels, {}, {dy_of(g), g.input(1)}));
  if (g.needs(1)) g.set(1, emit(g, OpKind::dot_to_channels, {}, {dy_of(g), g.input(0)}));
}

/// x -> the same shape in another real type.
Outputs infer_cast(const Attributes& attributes, Inputs in) {
  const auto& a = as<CastAttributes>("cast", attributes);
  require_inputs("cast", in, {"x"});
  require_reals("cast", in);
  require(is_floating(a.to), "cast", "must lead to a real type, not to {}", name_of(a.to));
  return {{in[0].shape, a.to}};
}

/// Rounding counts as the identity: dx = dy, in x's type.
void gradient_cast(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::cast, CastAttributes{g.graph().info(g.input(0)).desc.dtype}, {dy_of(g)}));
}

}  // namespace convoy::ops
