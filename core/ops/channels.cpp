// Ops that move channels or rename axes without arithmetic. Attributes: ChannelsAttributes, ReshapeAttributes.
// Cost: bytes only; a reshape is a view and costs nothing.
#include "core/ops/families.h"

namespace convoy::ops {

/// Two or more values that differ only in their last extent -> one, their channels side by side.
Outputs infer_concat(const Attributes& attributes, Inputs in) {
  as<std::monostate>("concat", attributes);
  require(in.size() >= 2, "concat", "takes two or more inputs, but {} were given", in.size());
  require_reals("concat", in);
  const Shape& first = in[0].shape;
  require_rank("concat", "input 0 [.., c]", first, 1, Shape::kMaxRank);
  std::int64_t channels = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Shape& part = in[i].shape;
    require(part.rank() == first.rank() && part.with(-1, first[-1]) == first, "concat",
            "its inputs may differ only in the last axis, but input 0 is {} and input {} is {}", first.str(), i,
            part.str());
    channels += part[-1];
  }
  return {{first.with(-1, channels), in[0].dtype}};
}

/// x [.., c] -> channels [begin, begin + count) of it.
Outputs infer_slice(const Attributes& attributes, Inputs in) {
  const auto& a = as<ChannelsAttributes>("slice", attributes);
  require_inputs("slice", in, {"x"});
  require_reals("slice", in);
  require_rank("slice", "x [.., c]", in[0].shape, 1, Shape::kMaxRank);
  const std::int64_t channels = in[0].shape[-1];
  require(a.begin >= 0 && a.count >= 1 && a.begin <= channels && a.count <= channels - a.begin, "slice",
          "channels [{}, {} + {}) do not exist in x, which has {}", a.begin, a.begin, a.count, channels);
  return {{in[0].shape.with(-1, a.count), in[0].dtype}};
}

/// x [.., c] -> [.., count]: `begin` zero channels, x, zero channels.
Outputs infer_pad_channels(const Attributes& attributes, Inputs in) {
  const auto& a = as<ChannelsAttributes>("pad_channels", attributes);
  require_inputs("pad_channels", in, {"x"});
  require_reals("pad_channels", in);
  require_rank("pad_channels", "x [.., c]", in[0].shape, 1, Shape::kMaxRank);
  const std::int64_t channels = in[0].shape[-1];
  require(a.begin >= 0 && a.begin <= a.count && channels <= a.count - a.begin, "pad_channels",
          "{} zero channels and the {} of x do not fit into {} in all", a.begin, channels, a.count);
  return {{in[0].shape.with(-1, a.count), in[0].dtype}};
}

/// The same elements in order under another shape.
Outputs infer_reshape(const Attributes& attributes, Inputs in) {
  const auto& a = as<ReshapeAttributes>("reshape", attributes);
  require_inputs("reshape", in, {"x"});
  require(a.shape.elements() == in[0].shape.elements(), "reshape",
          "x of shape {} has {} elements, but the new shape {} has {}", in[0].shape.str(),
          in[0].shape.elements(), a.shape.str(), a.shape.elements());
  return {{a.shape, in[0].dtype}};
}

/// Each part gets its own channels of dy.
void gradient_concat(GradientContext& g) {
  std::int64_t begin = 0;
  for (int i = 0; i < static_cast<int>(g.op().inputs.size()); ++i) {
    const std::int64_t count = g.graph().shape(g.input(i))[-1];
    if (g.needs(i)) g.set(i, emit(g, OpKind::slice, ChannelsAttributes{begin, count}, {dy_of(g)}));
    begin += count;
  }
}

/// The channels that were not taken get zeros.
void gradient_slice(GradientContext& g) {
  if (!g.needs(0)) return;
  const ChannelsAttributes all{g.op().as<ChannelsAttributes>().begin, g.graph().shape(g.input(0))[-1]};
  g.set(0, emit(g, OpKind::pad_channels, all, {dy_of(g)}));
}

/// The zeros have no gradient; x's channels are cut out of dy.
void gradient_pad_channels(GradientContext& g) {
  if (!g.needs(0)) return;
  const ChannelsAttributes own{g.op().as<ChannelsAttributes>().begin, g.graph().shape(g.input(0))[-1]};
  g.set(0, emit(g, OpKind::slice, own, {dy_of(g)}));
}

/// dy under x's shape.
void gradient_reshape(GradientContext& g) {
  if (g.needs(0))
    g.set(0, emit(g, OpKind::reshape, ReshapeAttributes{g.graph().shape(g.input(0))}, {dy_of(g)}));
}

}  // namespace convoy::ops
