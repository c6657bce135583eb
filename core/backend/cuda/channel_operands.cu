// x [rows, c] beside one number per channel: y = x + b, y = x g; and the sums of x, or of x y, over all rows.
#include "core/backend/cuda/channel_rows.cuh"
#include "core/backend/cuda/dispatch.h"
#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {
namespace {

constexpr int kOperandAhead = 4;

struct Plus {
  __device__ float operator()(float x, float b) const { return x + b; }
};
struct Times {
  __device__ float operator()(float x, float g) const { return x * g; }
};

template <typename T, int W, typename F>
__global__ void __launch_bounds__(kRowThreads)
    apply_operand(const T* x, const float* operand, T* y, ChannelRows cut, F f) {
  const RowPlace place = row_place<W>(cut);
  if (!place.active) return;
  const Pack<float, W> channel = load_pack<W>(operand + place.channel);
  walk_rows<kOperandAhead>(cut, place, [&](std::int64_t at) { return load_pack<W>(x + at); },
                           [&](const Pack<T, W>& loaded, std::int64_t at) {
                             Pack<T, W> result;
#pragma unroll
                             for (int w = 0; w < W; ++w)
                               result.at[w] = from_float<T>(f(to_float(loaded.at[w]), channel.at[w]));
                             store_pack<W>(y + at, result);
                           });
}

template <typename T, int W, typename F>
Bound make_operand(const Context& context, const Shape& x, F f) {
  const ChannelRows cut = cut_rows<T, W>(x.elements() / x[-1], x[-1], kOperandAhead, kApplyBlocks);
  KernelSpec spec{.implementation = "rows"};
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    launch(apply_operand<T, W, F>, cut.grid(), dim3(kRowThreads), stream, input<T>(arguments, 0), input<float>(arguments, 1),
           output<T>(arguments, 0), cut, f);
  };
  spec.in_place = {{0, 0}};
  return make_kernel(context, std::move(spec));
}

struct NoChannel {};

/// Sum of x.
template <typename T, int W>
struct SumTerm {
  static constexpr int kWidth = W, kSums = 1, kAhead = 8;
  using Loaded = Pack<T, W>;
  const T* x;
  __device__ Loaded load(std::int64_t at) const { return load_pack<W>(x + at); }
  __device__ NoChannel channel(std::int64_t) const { return {}; }
  __device__ void add(const Loaded& loaded, std::int64_t, NoChannel, float (&sums)[W]) const {
#pragma unroll
    for (int w = 0; w < W; ++w) sums[w] += to_float(loaded.at[w]);
  }
};

/// Sum of x y.
template <typename T, int W>
struct DotTerm {
  static constexpr int kWidth = W, kSums = 1, kAhead = 4;
  struct Loaded {
    Pack<T, W> x, y;
  };
  const T *x, *y;
  __device__ Loaded load(std::int64_t at) const { return {load_pack<W>(x + at), load_pack<W>(y + at)}; }
  __device__ NoChannel channel(std::int64_t) const { return {}; }
  __device__ void add(const Loaded& loaded, std::int64_t, NoChannel, float (&sums)[W]) const {
#pragma unroll
    for (int w = 0; w < W; ++w) sums[w] = math::fused(to_float(loaded.x.at[w]), to_float(loaded.y.at[w]), sums[w]);
  }
};

struct SumFinish {
  static constexpr int kSums = 1;
  const float* partials;
  float* sums;
  std::int64_t channels;
  __device__ void add(int row_block, std::int64_t c, double (&sum)[1]) const {
    sum[0] += static_cast<double>(partials[partial_at(row_block, 0, 1, channels) + c]);
  }
  __device__ void finish(std::int64_t c, const double (&sum)[1]) const { sums[c] = static_cast<float>(sum[0]); }
};

template <typename Term>
void launch_sum(const Term& term, const ChannelRows& cut, const KernelArguments& arguments, cudaStream_t stream) {
  auto* partials = static_cast<float*>(arguments.scratch);
  launch(sum_rows<Term>, cut.grid(), dim3(kRowThreads), stream, term, cut, partials);
  launch(finish_rows<SumFinish>, finish_grid(cut.channels), dim3(kRowThreads), stream,
         SumFinish{partials, output<float>(arguments, 0), cut.channels}, cut.row_blocks, cut.channels);
}

template <typename T, int W>
Bound make_sum(const Context& context, const Shape& x, bool dot) {
  const int ahead = dot ? DotTerm<T, W>::kAhead : SumTerm<T, W>::kAhead;
  const ChannelRows cut = cut_rows<T, W>(x.elements() / x[-1], x[-1], ahead, kSumBlocks);
  KernelSpec spec{.implementation = "rows"};
  spec.scratch_bytes = static_cast<std::size_t>(cut.row_blocks * cut.channels) * sizeof(float);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    if (dot)
      launch_sum(DotTerm<T, W>{input<T>(arguments, 0), input<T>(arguments, 1)}, cut, arguments, stream);
    else
      launch_sum(SumTerm<T, W>{input<T>(arguments, 0)}, cut, arguments, stream);
  };
  return make_kernel(context, std::move(spec));
}

}  // namespace

Bound bind_channel_operand(const Context& context, const OpDesc& op, std::string*) {
  const Shape& x = op.inputs[0].shape;
  return with_type(op.inputs[0].dtype, [&](auto t) {
    using T = decltype(t);
    return with_width<T>(x[-1], [&](auto width) {
      constexpr int W = decltype(width)::value;
      return op.kind == OpKind::add_channels ? make_operand<T, W>(context, x, Plus{})
                                             : make_operand<T, W>(context, x, Times{});
    });
  });
}

Bound bind_channel_sum(const Context& context, const OpDesc& op, std::string*) {
  const Shape& x = op.inputs[0].shape;
  return with_type(op.inputs[0].dtype, [&](auto t) {
    using T = decltype(t);
    return with_width<T>(x[-1], [&](auto width) {
      return make_sum<T, decltype(width)::value>(context, x, op.kind == OpKind::dot_to_channels);
    });
  });
}

}  // namespace convoy::cuda
