// Convolution and its two gradients by tiles, for any attributes: the last candidate, which takes what cuDNN
// declines. Modes other than zero padding are padded by copies first. Matrices of a group of channels:
//   forward             y [(n, t), o]      = x [(n, t), (k, c)] f [(k, c), o]
//   gradient of data    dx [(n, p), c]     = dy [(n, p), (k, o)] f [(k, o), c]
//   gradient of filters df [o, (k, c)]     = dy [o, (n, t)] x [(n, t), (k, c)], (n, t) cut into splits
#include <optional>

#include "core/backend/cuda/fold_splits.cuh"
#include "core/backend/cuda/padding.h"
#include "core/backend/cuda/tiles.cuh"
#include "core/ops/window.h"

namespace convoy::cuda {
namespace {

struct ConvShape {
  int in[3], out[3], stride[3], dilation[3], low[3];
  Divisor in_by[3], out_by[3], kernel_by[3], stride_by[3];
  std::uint32_t channels, outputs, group_in, group_out, taps;
  Divisor group_in_by, group_out_by;
};

/// Takes the spatial place off a number.
__device__ inline void take(const Divisor (&by)[3], std::uint32_t& n, int (&at)[3]) {
#pragma unroll
  for (int a = 2; a >= 0; --a) at[a] = static_cast<int>(by[a].take(n));
}

/// The input position that tap k of output position `row` = (n, t) sees, in [0, n p); -1: padding.
__device__ inline std::int64_t seen(const ConvShape& s, std::uint32_t row, std::uint32_t tap) {
  int t[3], k[3];
  take(s.out_by, row, t);
  take(s.kernel_by, tap, k);
  std::int64_t position = row;
#pragma unroll
  for (int a = 0; a < 3; ++a) {
    const int p = t[a] * s.stride[a] + k[a] * s.dilation[a] - s.low[a];
    if (p < 0 || p >= s.in[a]) return -1;
    position = position * s.in[a] + p;
  }
  return position;
}

/// The output position whose tap k sees input position `row` = (n, p), in [0, n t); -1: none.
__device__ inline std::int64_t seeing(const ConvShape& s, std::uint32_t row, std::uint32_t tap) {
  int p[3], k[3];
  take(s.in_by, row, p);
  take(s.kernel_by, tap, k);
  std::int64_t position = row;
#pragma unroll
  for (int a = 0; a < 3; ++a) {
    const int from = p[a] + s.low[a] - k[a] * s.dilation[a];
    if (from < 0) return -1;
    std::uint32_t t = static_cast<std::uint32_t>(from);
    if (s.stride_by[a].take(t) != 0 || static_cast<int>(t) >= s.out[a]) return -1;
    position = position * s.out[a] + t;
  }
  return position;
}

template <typename T>
struct ConvForward {
  static constexpr bool kDepthFirstA = true, kDepthFirstB = true;
  Tiling tiling;
  ConvShape s;
  const T *x, *filters;
  const float* bias;  // may be null
  T* y;
  bool relu;
  __device__ float a(const TilePart& part, std::uint32_t row, std::uint32_t k) const {
    const std::uint32_t c = s.group_in_by.take(k);
    const std::int64_t position = seen(s, row, k);
    return position < 0 ? 0.0f : to_float(x[position * s.channels + part.group * s.group_in + c]);
  }
  __device__ float b(const TilePart& part, std::uint32_t k, std::uint32_t o) const {
    return to_float(filters[static_cast<std::int64_t>(part.group * s.group_out + o) * tiling.whole_depth + k]);
  }
  __device__ void store(const TilePart& part, std::uint32_t row, std::uint32_t o, float sum) const {
    const std::uint32_t channel = part.group * s.group_out + o;
    if (bias != nullptr) sum += bias[channel];
    y[static_cast<std::int64_t>(row) * s.outputs + channel] = from_float<T>(relu ? math::relu(sum) : sum);
  }
};

/// D: T, or f32 where the padding's gradient is added up afterwards.
template <typename T, typename D>
struct ConvBackwardData {
  static constexpr bool kDepthFirstA = true, kDepthFirstB = false;
  Tiling tiling;
  ConvShape s;
  const T *dy, *filters;
  D* dx;
  __device__ float a(const TilePart& part, std::uint32_t row, std::uint32_t k) const {
    const std::uint32_t o = s.group_out_by.take(k);
    const std::int64_t position = seeing(s, row, k);
    return position < 0 ? 0.0f : to_float(dy[position * s.outputs + part.group * s.group_out + o]);
  }
  __device__ float b(const TilePart& part, std::uint32_t k, std::uint32_t c) const {
    const std::uint32_t o = part.group * s.group_out + s.group_out_by.take(k);
    return to_float(filters[(static_cast<std::int64_t>(o) * s.taps + k) * s.group_in + c]);
  }
  __device__ void store(const TilePart& part, std::uint32_t row, std::uint32_t c, float sum) const {
    dx[static_cast<std::int64_t>(row) * s.channels + part.group * s.group_in + c] = from_float<D>(sum);
  }
};

/// df [splits, outputs, taps, group_in]
template <typename T>
struct ConvBackwardFilters {
  static constexpr bool kDepthFirstA = false, kDepthFirstB = false;
  Tiling tiling;
  ConvShape s;
  const T *x, *dy;
  float* df;
  __device__ float a(const TilePart& part, std::uint32_t o, std::uint32_t row) const {
    return to_float(dy[static_cast<std::int64_t>(row) * s.outputs + part.group * s.group_out + o]);
  }
  __device__ float b(const TilePart& part, std::uint32_t row, std::uint32_t column) const {
    const std::uint32_t c = s.group_in_by.take(column);
    const std::int64_t position = seen(s, row, column);
    return position < 0 ? 0.0f : to_float(x[position * s.channels + part.group * s.group_in + c]);
  }
  __device__ void store(const TilePart& part, std::uint32_t o, std::uint32_t column, float sum) const {
    const std::int64_t filter =
        static_cast<std::int64_t>(part.split) * s.outputs + part.group * s.group_out + o;
    df[filter * tiling.columns + column] = sum;
  }
};

/// One convolution, seen from the host: padding by copies already done.
struct Problem {
  ConvShape shape{};
  std::optional<CopiedPadding> padding;
  std::int64_t n = 0, in = 0, out = 0, groups = 1;  // positions of one image
  bool relu = false;

  std::int64_t depth() const { return std::int64_t{shape.taps} * shape.group_in; }
  std::int64_t filters() const { return depth() * shape.outputs; }
};

Problem problem_of(const ConvAttributes& conv, const Shape& x) {
  Window w = window_of(conv, x);
  Problem p;
  p.n = x[0];
  if (conv.pad_mode != PadMode::zero) {
    p.padding.emplace(conv.pad_mode, p.n, x[-1], w.input, w.pad_low, w.pad_high);
    w.input = p.padding->padded();
    w.pad_low = w.pad_high = {};
  }
  p.in = w.input_positions();
  p.out = w.output_positions();
  p.groups = conv.groups;
  p.relu = conv.activation == ActivationKind::relu;
  ConvShape& s = p.shape;
  s.channels = static_cast<std::uint32_t>(x[-1]);
  s.outputs = static_cast<std::uint32_t>(conv.channels);
  s.taps = static_cast<std::uint32_t>(w.taps());
  s.group_in = static_cast<std::uint32_t>(x[-1] / conv.groups);
  s.group_out = static_cast<std::uint32_t>(conv.channels / conv.groups);
  s.group_in_by = Divisor(s.group_in);
  s.group_out_by = Divisor(s.group_out);
  for (std::size_t a = 0; a < 3; ++a) {
    s.in[a] = static_cast<int>(w.input[a]);
    s.out[a] = static_cast<int>(w.output[a]);
    s.stride[a] = static_cast<int>(w.stride[a]);
    s.dilation[a] = static_cast<int>(w.dilation[a]);
    s.low[a] = static_cast<int>(w.pad_low[a]);
    s.in_by[a] = Divisor(w.input[a]);
    s.out_by[a] = Divisor(w.output[a]);
    s.kernel_by[a] = Divisor(w.kernel[a]);
    s.stride_by[a] = Divisor(w.stride[a]);
  }
  return p;
}

/// Rows, depths and extents are counted in 31 bits.
bool too_large(const ConvAttributes& conv, const Shape& x, std::string* reason) {
  const Window w = window_of(conv, x);
  std::int64_t padded = 1;
  for (std::size_t a = 0; a < 3; ++a) padded *= w.input[a] + w.pad_low[a] + w.pad_high[a];
  const std::int64_t widest = std::max(conv.channels, x[-1]);
  return too_many(padded, reason) || too_many(x[0] * std::max(padded, w.output_positions()), reason) ||
         too_many(w.taps() * widest, reason) || too_many(padded * x[-1], reason);
}

template <typename T>
Bound bind_forward(const Context& context, const Problem& p) {
  KernelSpec spec;
  spec.implementation = "tiles";
  if (p.padding) spec.scratch_bytes = p.padding->padded_bytes(dtype_of<T>());
  spec.run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    const T* x = input<T>(arguments, 0);
    if (p.padding) {
      p.padding->pad(dtype_of<T>(), x, arguments.scratch, stream);
      x = static_cast<const T*>(arguments.scratch);
    }
    const float* bias = arguments.inputs.size() > 2 ? input<float>(arguments, 2) : nullptr;
    multiply(ConvForward<T>{{}, p.shape, x, input<T>(arguments, 1), bias, output<T>(arguments, 0), p.relu},
             p.n * p.out, p.shape.group_out, p.depth(), p.groups, 1, stream);
  };
  return make_kernel(context, std::move(spec));
}

template <typename T>
Bound bind_backward_data(const Context& context, const Problem& p) {
  KernelSpec spec;
  spec.implementation = "tiles";
  if (p.padding) spec.scratch_bytes = p.padding->padded_bytes(DType::f32);
  spec.run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    const T *dy = input<T>(arguments, 0), *filters = input<T>(arguments, 1);
    const std::int64_t rows = p.n * p.in, depth = std::int64_t{p.shape.taps} * p.shape.group_out;
    if (!p.padding) {
      multiply(ConvBackwardData<T, T>{{}, p.shape, dy, filters, output<T>(arguments, 0)}, rows,
               p.shape.group_in, depth, p.groups, 1, stream);
      return;
    }
    auto* padded = static_cast<float*>(arguments.scratch);
    multiply(ConvBackwardData<T, float>{{}, p.shape, dy, filters, padded}, rows, p.shape.group_in, depth,
             p.groups, 1, stream);
    p.padding->add_back(DType::f32, dtype_of<T>(), padded, output<T>(arguments, 0), stream);
  };
  return make_kernel(context, std::move(spec));
}

/// Scratch: the padded x, partial gradients, partial sums of the bias' gradient.
template <typename T>
Bound bind_backward_filters(const Context& context, const Problem& p) {
  const std::int64_t rows = p.n * p.out, splits = splits_for(p.shape.group_out, p.depth(), rows, p.groups);
  const std::size_t padded_bytes = p.padding ? round_up_256(p.padding->padded_bytes(dtype_of<T>())) : 0;
  const std::size_t parts_bytes =
      splits > 1 ? round_up_256(static_cast<std::size_t>(splits * p.filters()) * sizeof(float)) : 0;
  KernelSpec spec;
  spec.implementation = "tiles";
  spec.scratch_bytes = padded_bytes + parts_bytes + bias_bytes(rows, p.shape.outputs);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* scratch = static_cast<std::byte*>(arguments.scratch);
    const T *x = input<T>(arguments, 0), *dy = input<T>(arguments, 1);
    if (float* df = output<float>(arguments, 0)) {
      if (p.padding) {
        p.padding->pad(dtype_of<T>(), x, scratch, stream);
        x = reinterpret_cast<const T*>(scratch);
      }
      auto* parts = reinterpret_cast<float*>(scratch + padded_bytes);
      multiply(ConvBackwardFilters<T>{{}, p.shape, x, dy, splits > 1 ? parts : df}, p.shape.group_out,
               p.depth(), rows, p.groups, splits, stream);
      if (splits > 1)
        launch(fold_splits, blocks_for(p.filters()), kThreads, stream, parts, splits, p.filters(), df);
    }
    float* dbias = arguments.outputs.size() > 1 ? output<float>(arguments, 1) : nullptr;
    if (dbias == nullptr) return;
    sum_to_bias(dy, rows, p.shape.outputs, reinterpret_cast<float*>(scratch + padded_bytes + parts_bytes),
                dbias, stream);
  };
  return make_kernel(context, std::move(spec));
}

}  // namespace

Bound bind_conv_direct(const Context& context, const OpDesc& op, std::string* reason) {
  const bool forward = op.kind == OpKind::conv;
  const ConvAttributes& conv =
      forward ? std::get<ConvAttributes>(op.attributes) : std::get<ConvBackwardAttributes>(op.attributes).conv;
  const Shape& x = forward ? op.inputs[0].shape : std::get<ConvBackwardAttributes>(op.attributes).input;
  if (too_large(conv, x, reason)) return nullptr;
  const Problem p = problem_of(conv, x);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    if (forward) return bind_forward<T>(context, p);
    return op.kind == OpKind::conv_backward_data ? bind_backward_data<T>(context, p)
                                                 : bind_backward_filters<T>(context, p);
  });
}

}  // namespace convoy::cuda
