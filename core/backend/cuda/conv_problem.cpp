#include "core/backend/cuda/conv_problem.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <span>

namespace convoy::cuda {
namespace {

/// Values of an op's `axes` axes, put at the end of three; the rest `other`.
PerAxis at_the_end(const PerAxis& values, int axes, std::int64_t other) {
  PerAxis placed{other, other, other};
  for (int a = 0; a < axes; ++a) placed[static_cast<std::size_t>(3 - axes + a)] = values[static_cast<std::size_t>(a)];
  return placed;
}

PerAxis extents_of(const Shape& shape, int axes) {
  PerAxis extents{};
  for (int a = 0; a < axes; ++a) extents[static_cast<std::size_t>(a)] = shape[1 + a];
  return at_the_end(extents, axes, 1);
}

std::span<const std::int64_t> used(const ConvProblem& problem, const PerAxis& values) {
  return {values.data() + 3 - problem.axes, static_cast<std::size_t>(problem.axes)};
}

/// Dense memory of [outer, axes.., channels].
Layout channels_last(const ConvProblem& problem, std::int64_t outer, std::int64_t channels, const PerAxis& extents) {
  Layout layout;
  const auto axes = used(problem, extents);
  layout.dims = {outer, channels};
  layout.dims.insert(layout.dims.end(), axes.begin(), axes.end());
  layout.strides.assign(layout.dims.size(), 1);
  std::int64_t stride = channels;
  for (std::size_t axis = axes.size(); axis-- > 0;) {
    layout.strides[2 + axis] = stride;
    stride *= axes[axis];
  }
  layout.strides[0] = stride;
  return layout;
}

}  // namespace

ConvProblem conv_problem_of(const OpDesc& op, bool tf32) {
  const bool forward = op.kind == OpKind::conv, data = op.kind == OpKind::conv_backward_data;
  const ConvAttributes& conv =
      forward ? std::get<ConvAttributes>(op.attributes) : std::get<ConvBackwardAttributes>(op.attributes).conv;
  const Shape& x = forward ? op.inputs[0].shape : std::get<ConvBackwardAttributes>(op.attributes).input;
  const Shape& y = forward ? op.outputs[0].shape : data ? op.inputs[0].shape : op.inputs[1].shape;
  ConvProblem p;
  p.direction = forward ? ConvDirection::forward : data ? ConvDirection::backward_data : ConvDirection::backward_filters;
  p.axes = std::max(conv.axes, 2);
  p.n = x[0];
  p.c = x[-1];
  p.o = conv.channels;
  p.groups = conv.groups;
  p.in = extents_of(x, conv.axes);
  p.out = extents_of(y, conv.axes);
  p.kernel = at_the_end(conv.kernel, conv.axes, 1);
  p.stride = at_the_end(conv.stride, conv.axes, 1);
  p.dilation = at_the_end(conv.dilation, conv.axes, 1);
  p.pad_low = at_the_end(conv.pad_low, conv.axes, 0);
  p.pad_high = at_the_end(conv.pad_high, conv.axes, 0);
  p.data = op.inputs[0].dtype;
  p.bias = forward && op.inputs.size() > 2;
  p.tf32 = tf32 && p.data == DType::f32;
  return p;
}

std::int64_t Layout::elements() const { return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>()); }

Layout x_layout(const ConvProblem& p) { return channels_last(p, p.n, p.c, p.in); }
Layout filters_layout(const ConvProblem& p) { return channels_last(p, p.o, p.c / p.groups, p.kernel); }
Layout y_layout(const ConvProblem& p) { return channels_last(p, p.n, p.o, p.out); }
Layout bias_layout(const ConvProblem& p) { return channels_last(p, 1, p.o, {1, 1, 1}); }

std::string key_of(const ConvProblem& p) {
  constexpr const char* kNames[] = {"forward", "backward-data", "backward-filters"};
  return fmt::format("conv {} {}{} x={} o={} kernel={} stride={} dilation={} pad={}:{} groups={}{}",
                     kNames[static_cast<int>(p.direction)], name_of(p.data), p.tf32 ? " tf32" : "",
                     fmt::join(x_layout(p).dims, ","), p.o, fmt::join(used(p, p.kernel), ","),
                     fmt::join(used(p, p.stride), ","), fmt::join(used(p, p.dilation), ","),
                     fmt::join(used(p, p.pad_low), ","), fmt::join(used(p, p.pad_high), ","), p.groups,
                     p.bias ? " bias" : "");
}

std::int64_t padded_channels(const ConvProblem& p) {
  const bool tensor_cores = p.data != DType::f32 || p.tf32;
  const auto lane = static_cast<std::int64_t>(16 / size_of(p.data));
  const bool helps = tensor_cores && p.groups == 1 && p.c < lane && p.direction != ConvDirection::backward_data;
  return helps ? lane : p.c;
}

}  // namespace convoy::cuda
