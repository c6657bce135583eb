// Max, min and average pooling. Attributes: PoolAttributes.
//   max, min: y[n, t, c] = the extreme of x[n, p, c] over the window's positions p inside the image; winner:
//   which average:  y[n, t, c] = (sum over the window's p inside the image of x[n, p, c]) / count(t)
// Cost: bytes only.
#include "core/ops/families.h"
#include "core/ops/window.h"

namespace convoy::ops {
namespace {

DType winner_type(const Window& window) { return window.taps() <= 256 ? DType::u8 : DType::i32; }

}  // namespace

/// x [n, s.., c] -> y [n, t.., c] [, winner [n, t.., c]].
Outputs infer_pool(const Attributes& attributes, Inputs in) {
  const auto& a = as<PoolAttributes>("pool", attributes);
  require_inputs("pool", in, {"x"});
  const DType real = require_data("pool", OpKind::pool, in);
  const Shape& x = in[0].shape;
  const Window window = window_of(a, x);
  const Shape y = window_output(window, a.axes, x[0], x[-1]);
  if (a.kind == PoolKind::average) return {{y, real}};
  return {{y, real}, {y, winner_type(window)}};
}

/// dy [n, t.., c] [, winner] -> dx of shape attributes.input.
Outputs infer_pool_backward(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "pool_backward";
  const auto& a = as<PoolAttributes>(kOp, attributes);
  const bool has_winner = a.kind != PoolKind::average;
  if (has_winner)
    require_inputs(kOp, in, {"dy", "winner"});
  else
    require_inputs(kOp, in, {"dy"});
  const DType real = require_reals(kOp, in, {0});
  const Window window = window_of(a, a.input, kOp);
  const Shape y = window_output(window, a.axes, a.input[0], a.input[-1]);
  require_shape(kOp, "dy", in[0].shape, y);
  if (has_winner) {
    require_shape(kOp, "winner", in[1].shape, y);
    require_type(kOp, "winner", in[1], winner_type(window));
  }
  return {{a.input, real}};
}

/// max, min: dx[n, p, c] = sum of dy[n, t, c] over the windows t whose winner is p
/// average:  dx[n, p, c] = sum of dy[n, t, c] / count(t) over the windows t that hold p
void gradient_pool(GradientContext& g) {
  if (!g.needs(0)) return;
  PoolAttributes a = g.op().as<PoolAttributes>();
  a.input = g.graph().shape(g.input(0));
  std::vector<Value> inputs{dy_of(g)};
  if (a.kind != PoolKind::average) inputs.push_back(g.output(1));
  g.set(0, emit(g, OpKind::pool_backward, a, inputs));
}

}  // namespace convoy::ops
