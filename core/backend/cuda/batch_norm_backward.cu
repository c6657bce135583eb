// Gradients of batch normalisation (math::BatchNormGradient). Three kernels: sums of d and of d (x - mean) over ranges of
// rows; their sums in double, once a channel; dx. Where the ranges are few, every block of the last kernel adds them up for
// its own channels, in the same order, and the second is not needed.
#include "core/backend/cuda/channel_rows.cuh"
#include "core/backend/cuda/dispatch.h"
#include "core/backend/cuda/kernels.h"
#include "core/ops/batch_norm_math.h"

namespace convoy::cuda {
namespace {

constexpr int kSumAhead = 4, kApplyAhead = 2;
constexpr int kFewBlocks = 16;  // ranges of rows that the last kernel adds up by itself

/// The big operands, read together; y only behind a fused ReLU.
template <typename T, int W, bool kMasked>
struct Operands {
  struct Loaded {
    Pack<T, W> x, dy, y;
  };
  const T *x, *dy, *y;

  __device__ Loaded load(std::int64_t at) const {
    Loaded loaded;
    loaded.x = load_pack<W>(x + at);
    loaded.dy = load_pack<W>(dy + at);
    if constexpr (kMasked)
      loaded.y = load_pack<W>(y + at);
    else
      loaded.y = {};
    return loaded;
  }
  static __device__ float d(const Loaded& loaded, int w) {
    if constexpr (kMasked)
      return math::relu_backward(to_float(loaded.y.at[w]), to_float(loaded.dy.at[w]));
    else
      return to_float(loaded.dy.at[w]);
  }
};

template <typename T, int W, bool kMasked>
struct GradientTerm {
  static constexpr int kWidth = W, kSums = 2, kAhead = kSumAhead;
  using Loaded = typename Operands<T, W, kMasked>::Loaded;
  Operands<T, W, kMasked> operands;
  const float* mean;
  T* masked;  // where d goes too; null where it is not wanted

  __device__ Loaded load(std::int64_t at) const { return operands.load(at); }
  __device__ Pack<float, W> channel(std::int64_t c) const { return load_pack<W>(mean + c); }
  __device__ void add(const Loaded& loaded, std::int64_t at, const Pack<float, W>& means, float (&sums)[2 * W]) const {
    if (kMasked && masked != nullptr) {
      Pack<T, W> d;
#pragma unroll
      for (int w = 0; w < W; ++w) d.at[w] = from_float<T>(operands.d(loaded, w));
      store_pack<W>(masked + at, d);
    }
#pragma unroll
    for (int w = 0; w < W; ++w) {
      const float d = operands.d(loaded, w);
      sums[w] += d;
      sums[W + w] = math::fused(d, to_float(loaded.x.at[w]) - means.at[w], sums[W + w]);
    }
  }
};

/// From sums over ranges of rows to a channel's gradients and factors.
struct JoinedSums {
  static constexpr int kSums = 2;
  const float* partials;
  std::int64_t rows, channels;
  int row_blocks;
  const float *gamma, *inverse_deviation;
  float *dgamma, *dbeta;  // [channels], null where not wanted
  float* factors;         // [3, channels]: a, b, c

  __device__ void add(int row_block, std::int64_t c, double (&sums)[kSums]) const {
    for (int s = 0; s < kSums; ++s) sums[s] += static_cast<double>(partials[partial_at(row_block, s, kSums, channels) + c]);
  }
  __device__ math::BatchNormGradient gradient(std::int64_t c, const double (&sums)[kSums]) const {
    return math::batch_norm_gradient(sums[0], sums[1], static_cast<double>(rows), inverse_deviation[c], gamma[c]);
  }
  __device__ void store(std::int64_t c, const math::BatchNormGradient& g) const {
    if (dgamma != nullptr) dgamma[c] = g.dgamma;
    if (dbeta != nullptr) dbeta[c] = g.dbeta;
  }
  __device__ void finish(std::int64_t c, const double (&sums)[kSums]) const {
    const math::BatchNormGradient g = gradient(c, sums);
    store(c, g);
    factors[c] = g.a;
    factors[channels + c] = g.b;
    factors[2 * channels + c] = g.c;
  }
};

struct Factors {
  float a, b, c;
};

// Where the factors of a channel come from. `first`: asked by the first of the blocks that take the channel.
struct FromFactors {
  const float* factors;
  std::int64_t channels;
  __device__ Factors operator()(std::int64_t c, bool) const {
    return {factors[c], factors[channels + c], factors[2 * channels + c]};
  }
};
struct FromSums {
  JoinedSums joined;
  __device__ Factors operator()(std::int64_t c, bool first) const {
    double sums[JoinedSums::kSums] = {};
#pragma unroll 4
    for (int b = 0; b < joined.row_blocks; ++b) joined.add(b, c, sums);
    const math::BatchNormGradient g = joined.gradient(c, sums);
    if (first) joined.store(c, g);
    return {g.a, g.b, g.c};
  }
};

template <typename T, int W, bool kMasked, typename Source>
__global__ void __launch_bounds__(kRowThreads)
    differentiate_rows(Source source, const float* mean, Operands<T, W, kMasked> operands, T* dx, ChannelRows cut) {
  __shared__ float shared[4][kBlockChannels<T>];
  const RowPlace place = row_place<W>(cut);
  for (int i = static_cast<int>(threadIdx.x); i < cut.block_lanes * W; i += kRowThreads) {
    const std::int64_t c = place.block_channel + i;
    if (c >= cut.channels) break;
    const Factors factors = source(c, place.row_block == 0);
    shared[0][i] = factors.a;
    shared[1][i] = factors.b;
    shared[2][i] = factors.c;
    shared[3][i] = mean[c];
  }
  __syncthreads();
  if (!place.active) return;
  float factors[4][W];
  const int column = static_cast<int>(place.channel - place.block_channel);
#pragma unroll
  for (int f = 0; f < 4; ++f)
#pragma unroll
    for (int w = 0; w < W; ++w) factors[f][w] = shared[f][column + w];
  walk_rows<kApplyAhead>(cut, place, [&](std::int64_t at) { return operands.load(at); },
                         [&](const auto& loaded, std::int64_t at) {
                           Pack<T, W> result;
#pragma unroll
                           for (int w = 0; w < W; ++w)
                             result.at[w] = from_float<T>(math::normalise_backward(
                                 operands.d(loaded, w), to_float(loaded.x.at[w]) - factors[3][w], factors[0][w],
                                 factors[1][w], factors[2][w]));
                           store_pack<W>(dx + at, result);
                         });
}

template <typename T, int W, bool kMasked>
struct Backward {
  bool residual;
  ChannelRows sums, apply;

  Backward(bool with_residual, const Shape& x)
      : residual(with_residual),
        sums(cut_rows<T, W>(x.elements() / x[-1], x[-1], kSumAhead, kSumBlocks)),
        apply(cut_rows<T, W>(x.elements() / x[-1], x[-1], kApplyAhead, kApplyBlocks)) {}

  std::size_t partials_bytes() const {
    return round_up_256(static_cast<std::size_t>(2 * sums.row_blocks * sums.channels) * sizeof(float));
  }
  std::size_t scratch_bytes() const {
    return partials_bytes() + static_cast<std::size_t>(3 * sums.channels) * sizeof(float);
  }

  void run(const KernelArguments& arguments, cudaStream_t stream) const {
    auto* partials = static_cast<float*>(arguments.scratch);
    auto* factors = reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) + partials_bytes());
    const auto* mean = input<float>(arguments, 2);
    const Operands<T, W, kMasked> operands{input<T>(arguments, 0), input<T>(arguments, 4),
                                           kMasked ? input<T>(arguments, 5) : nullptr};
    const JoinedSums joined{partials, sums.rows, sums.channels, sums.row_blocks, input<float>(arguments, 1),
                            input<float>(arguments, 3), output<float>(arguments, 1), output<float>(arguments, 2), factors};
    using Term = GradientTerm<T, W, kMasked>;
    T* masked = kMasked && residual ? output<T>(arguments, 3) : nullptr;
    launch(sum_rows<Term>, sums.grid(), dim3(kRowThreads), stream, Term{operands, mean, masked}, sums, partials);
    if (output<T>(arguments, 0) != nullptr && sums.row_blocks <= kFewBlocks) {
      differentiate(arguments, operands, masked, FromSums{joined}, stream);
      return;
    }
    launch(finish_rows<JoinedSums>, finish_grid(sums.channels), dim3(kRowThreads), stream, joined, sums.row_blocks,
           sums.channels);
    if (output<T>(arguments, 0) != nullptr)
      differentiate(arguments, operands, masked, FromFactors{factors, sums.channels}, stream);
  }

  /// dx. dy and y are not read again where their masked product lies in memory: it may have taken the place of either.
  template <typename Source>
  void differentiate(const KernelArguments& arguments, const Operands<T, W, kMasked>& operands, const T* masked,
                     const Source& source, cudaStream_t stream) const {
    const auto* mean = input<float>(arguments, 2);
    T* dx = output<T>(arguments, 0);
    if (masked != nullptr)
      launch(differentiate_rows<T, W, false, Source>, apply.grid(), dim3(kRowThreads), stream, source, mean,
             Operands<T, W, false>{operands.x, masked, nullptr}, dx, apply);
    else
      launch(differentiate_rows<T, W, kMasked, Source>, apply.grid(), dim3(kRowThreads), stream, source, mean, operands, dx,
             apply);
  }
};

template <typename T, int W, bool kMasked>
Bound make_backward(const Context& context, bool residual, const Shape& x) {
  const Backward<T, W, kMasked> backward(residual, x);
  return make_kernel(context, {.implementation = "rows",
                               .run = [backward](const KernelArguments& arguments,
                                                 cudaStream_t stream) { backward.run(arguments, stream); },
                               .scratch_bytes = backward.scratch_bytes(),
                               .in_place = residual ? InPlace{{0, 0}, {4, 3}, {4, 0}, {5, 3}} : InPlace{{0, 0}, {4, 0}}});
}

}  // namespace

Bound bind_batch_norm_backward(const Context& context, const OpDesc& op, std::string*) {
  const Shape& x = op.inputs[0].shape;
  const auto& attributes = std::get<BatchNormAttributes>(op.attributes);
  const bool masked = attributes.activation == ActivationKind::relu;
  return with_type(op.inputs[0].dtype, [&](auto t) {
    using T = decltype(t);
    return with_width<T>(x[-1], [&](auto width) {
      constexpr int W = decltype(width)::value;
      return masked ? make_backward<T, W, true>(context, attributes.residual, x)
                    : make_backward<T, W, false>(context, attributes.residual, x);
    });
  });
}

}  // namespace convoy::cuda
