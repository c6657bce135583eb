// Dropout, inverted form: in training a kept element is divided by 1 - rate, so that inference needs no change.
// Attributes: DropoutAttributes. Which elements are kept is a pure function of (seed, layer, epoch, sample,
// element). Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {

/// x [n, ..], keys u64 [n, 2] -> y as x.
Outputs infer_dropout(const Attributes& attributes, Inputs in) {
  const auto& a = as<DropoutAttributes>("dropout", attributes);
  require(a.rate >= 0 && a.rate < 1, "dropout",
          "the rate is the share of elements dropped, in [0, 1), but is {}", a.rate);
  require_inputs("dropout", in, {"x", "keys"});
  require_reals("dropout", in, {0});
  require_rank("dropout", "x [n, ..]", in[0].shape, 1, Shape::kMaxRank);
  require_type("dropout", "keys", in[1], DType::u64);
  require_shape("dropout", "keys", in[1].shape, {in[0].shape[0], 2});
  return {in[0]};
}

/// y = x kept / (1 - rate), so dx = dy kept / (1 - rate): the same op on dy, which draws the same elements.
void gradient_dropout(GradientContext& g) {
  if (g.needs(0)) g.set(0, emit(g, OpKind::dropout, g.op().as<DropoutAttributes>(), {dy_of(g), g.input(1)}));
}

}  // namespace convoy::ops
