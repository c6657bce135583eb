// Paths that samples take or leave out. Attributes of path_weights: PathsAttributes. Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {

/// keys u64 [n, 2] -> a weight [n] for each path.
Outputs infer_path_weights(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "path_weights";
  const auto& a = as<PathsAttributes>(kOp, attributes);
  require(a.rate >= 0 && a.rate < 1, kOp, "the rate is the share of paths dropped, in [0, 1), but is {}", a.rate);
  require(a.global >= 0 && a.global <= 1, kOp, "the share of samples that take one column lies in [0, 1], but is {}", a.global);
  require(a.paths >= 1 && a.paths <= 64, kOp, "1 to 64 paths may meet, not {}", a.paths);
  require(a.columns >= a.paths, kOp, "{} paths need as many columns, but there are {}", a.paths, a.columns);
  require_inputs(kOp, in, {"keys"});
  require_type(kOp, "keys", in[0], DType::u64);
  require_rank(kOp, "keys [n, 2]", in[0].shape, 2, 2);
  require_shape(kOp, "keys", in[0].shape, {in[0].shape[0], 2});
  return Outputs(static_cast<std::size_t>(a.paths), TensorDesc{{in[0].shape[0]}, a.real});
}

/// x [n, ..], w [n] -> y as x.
Outputs infer_scale_samples(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "scale_samples";
  as<std::monostate>(kOp, attributes);
  require_inputs(kOp, in, {"x", "w"});
  require_data(kOp, OpKind::scale_samples, in);
  require_rank(kOp, "x [n, ..]", in[0].shape, 1, Shape::kMaxRank);
  require_shape(kOp, "w", in[1].shape, {in[0].shape[0]});
  return {in[0]};
}

/// dx = dy w. Weights are drawn, not learnt.
void gradient_scale_samples(GradientContext& g) {
  if (g.needs(0)) g.set(0, emit(g, OpKind::scale_samples, {}, {dy_of(g), g.input(1)}));
  require(!g.needs(1), "scale_samples", "w is drawn and has no gradient; feed it from path_weights or an input");
}

}  // namespace convoy::ops
