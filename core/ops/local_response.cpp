// Local response normalisation. Attributes: LocalResponseAttributes. Cost: bytes only.
//   s_i = k + alpha sum over neighbours j of x_j^2;  y_i = x_i s_i^-beta
#include "core/ops/families.h"

namespace convoy::ops {
namespace {

void check(std::string_view op, const LocalResponseAttributes& a, Inputs in) {
  require(a.size >= 1 && a.size % 2 == 1, op, "takes an odd number of neighbouring channels, but its size is {}", a.size);
  require(a.k > 0 && a.alpha >= 0, op, "needs k > 0 and alpha >= 0, but k is {} and alpha {}", a.k, a.alpha);
  require_rank(op, "x [.., c]", in[0].shape, 2, Shape::kMaxRank);
}

}  // namespace

/// x -> y as x.
Outputs infer_local_response(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "local_response";
  const auto& a = as<LocalResponseAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"x"});
  check(kOp, a, in);
  require_data(kOp, OpKind::local_response, in);
  return {in[0]};
}

/// x, dy -> dx.
Outputs infer_local_response_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "local_response_backward";
  const auto& a = as<LocalResponseAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"x", "dy"});
  check(kOp, a, in);
  require_data(kOp, OpKind::local_response_backward, in);
  require_shape(kOp, "dy", in[1].shape, in[0].shape);
  return {in[0]};
}

/// dx_i = dy_i s_i^-beta - 2 alpha beta x_i sum over neighbours j of dy_j x_j s_j^(-beta - 1)
void gradient_local_response(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::local_response_backward, g.op().as<LocalResponseAttributes>(), {g.input(0), dy_of(g)}));
}

}  // namespace convoy::ops
