// Batch normalisation forward (Ioffe & Szegedy 2015, algorithm 1) and inference. Three kernels: the moments of ranges of
// rows; their joint moments in double, once a channel; y. Where the ranges are few, every block of the last kernel joins
// them for its own channels, in the same order, and the second is not needed.
//
// Moments are taken around means that are close: a thread takes those of a few rows around their own mean, and joins
// groups, threads and blocks by Chan et al. 1983 (no difference of large sums anywhere).
#include <limits>

#include "core/backend/cuda/channel_rows.cuh"
#include "core/backend/cuda/dispatch.h"
#include "core/backend/cuda/kernels.h"
#include "core/ops/batch_norm_math.h"

namespace convoy::cuda {
namespace {

constexpr int kGroup = 8;                              // rows whose moments a thread takes at once
template <bool kResidual>
constexpr int kApplyAhead = kResidual ? 2 : 4;          // rows: as many packs in flight; more would spill registers
constexpr int kFewBlocks = 16;                         // ranges of rows that the last kernel joins by itself

/// Moments of W channels: numbers [0, W) are means, [W, 2 W) sums of squared differences from them, 2 W is the count.
template <int W>
using Moments = float[2 * W + 1];

/// Chan et al. 1983, equations 2.1: joins `right` into `left`.
template <int W>
__device__ __forceinline__ void join(Moments<W>& left, const Moments<W>& right) {
  const float count = left[2 * W] + right[2 * W];
  if (right[2 * W] == 0.0f) return;
  const float share = right[2 * W] / count, weight = left[2 * W] * share;
#pragma unroll
  for (int w = 0; w < W; ++w) {
    const float d = right[w] - left[w];
    left[w] = math::fused(d, share, left[w]);
    left[W + w] = math::fused(d * d, weight, left[W + w] + right[W + w]);
  }
  left[2 * W] = count;
}

/// The moments of up to kGroup rows, of which the first `count` are there, around their own mean.
template <typename T, int W>
__device__ __forceinline__ void take_moments(const Pack<T, W> (&rows)[kGroup], int count, Moments<W>& moments) {
  const float inverse = 1.0f / static_cast<float>(count);
#pragma unroll
  for (int w = 0; w < W; ++w) {
    float sum = 0.0f, squares = 0.0f;
#pragma unroll
    for (int u = 0; u < kGroup; ++u)
      if (u < count) sum += to_float(rows[u].at[w]);
    const float mean = sum * inverse;
#pragma unroll
    for (int u = 0; u < kGroup; ++u)
      if (u < count) {
        const float d = to_float(rows[u].at[w]) - mean;
        squares = math::fused(d, d, squares);
      }
    moments[w] = mean;
    moments[W + w] = squares;
  }
  moments[2 * W] = static_cast<float>(count);
}

/// partials [row_blocks, 2, channels]: the means and squares of each range of rows.
template <typename T, int W>
__global__ void __launch_bounds__(kRowThreads) moments_of_rows(const T* x, ChannelRows cut, float* partials) {
  const RowPlace place = row_place<W>(cut);
  Moments<W> mine = {};
  const std::int64_t step = cut.block_rows * cut.channels;
  if (place.active)
    for (std::int64_t row = place.row_begin; row < place.row_end; row += kGroup * cut.block_rows) {
      const T* at = x + row * cut.channels + place.channel;
      Pack<T, W> rows[kGroup];
      int count = 0;
#pragma unroll
      for (int u = 0; u < kGroup; ++u)
        if (row + u * cut.block_rows < place.row_end) {
          rows[u] = load_pack<W>(at + u * step);
          ++count;
        }
      Moments<W> group;
      take_moments(rows, count, group);
      join<W>(mine, group);
    }
  fold_block(cut, place, mine, [](Moments<W>& left, const Moments<W>& right) { join<W>(left, right); });
  store_partials<2, W>(cut, place, mine, partials);
}

/// From the moments of ranges to those of a channel: sums around the mean of the first range.
struct JoinedMoments {
  static constexpr int kSums = 3;  // of count (mean - first mean), of count (mean - first mean)^2, of squares
  const float* partials;
  ChannelRows cut;
  double epsilon;
  const float* gamma;
  float *mean, *inverse_deviation, *variance;  // [channels] each, null where not wanted
  float* factors;                              // [2, channels]: mean, scale

  __device__ void add(int row_block, std::int64_t c, double (&sums)[kSums]) const {
    const std::int64_t before = row_block * cut.rows_per_block, left = cut.rows - before;
    const double count = static_cast<double>(left < cut.rows_per_block ? left : cut.rows_per_block);
    const double d = static_cast<double>(partials[partial_at(row_block, 0, 2, cut.channels) + c]) -
                     static_cast<double>(partials[c]);
    sums[0] += count * d;
    sums[1] += count * d * d;
    sums[2] += static_cast<double>(partials[partial_at(row_block, 1, 2, cut.channels) + c]);
  }
  __device__ math::BatchNorm norm(std::int64_t c, const double (&sums)[kSums]) const {
    const double rows = static_cast<double>(cut.rows), between = sums[1] - sums[0] * sums[0] / rows;
    return math::batch_norm(static_cast<double>(partials[c]) + sums[0] / rows, sums[2] + (between < 0 ? 0 : between), rows,
                            epsilon, gamma[c]);
  }
  __device__ void store(std::int64_t c, const math::BatchNorm& norm) const {
    if (mean != nullptr) mean[c] = norm.mean;
    if (inverse_deviation != nullptr) inverse_deviation[c] = norm.inverse_deviation;
    if (variance != nullptr) variance[c] = norm.variance;
  }
  __device__ void finish(std::int64_t c, const double (&sums)[kSums]) const {
    const math::BatchNorm joined = norm(c, sums);
    store(c, joined);
    factors[c] = joined.mean;
    factors[cut.channels + c] = joined.scale;
  }
};

struct MeanScale {
  float mean, scale;
};

// Where the factors of a channel come from. `first`: asked by the first of the blocks that take the channel.
struct FromFactors {
  const float* factors;
  std::int64_t channels;
  __device__ MeanScale operator()(std::int64_t c, bool) const { return {factors[c], factors[channels + c]}; }
};
struct FromMoments {
  JoinedMoments moments;
  __device__ MeanScale operator()(std::int64_t c, bool first) const {
    double sums[JoinedMoments::kSums] = {};
#pragma unroll 4
    for (int b = 0; b < moments.cut.row_blocks; ++b) moments.add(b, c, sums);
    const math::BatchNorm norm = moments.norm(c, sums);
    if (first) moments.store(c, norm);
    return {norm.mean, norm.scale};
  }
};
struct FromRunning {
  const float *gamma, *mean, *variance;
  double epsilon;
  __device__ MeanScale operator()(std::int64_t c, bool) const {
    return {mean[c], math::batch_norm_scale(gamma[c], variance[c], epsilon)};
  }
};

/// What a row's elements are made of; the residual only where one is added.
template <typename T, int W, bool kResidual>
struct Terms {
  struct Loaded {
    Pack<T, W> x, residual;
  };
  const T *x, *residual;

  __device__ Loaded load(std::int64_t at) const {
    Loaded loaded;
    loaded.x = load_pack<W>(x + at);
    if constexpr (kResidual)
      loaded.residual = load_pack<W>(residual + at);
    else
      loaded.residual = {};
    return loaded;
  }
};

/// y = max(floor, scale (x - mean) + shift [+ residual]): floor is 0 for a ReLU, else -infinity.
template <typename T, int W, bool kResidual, typename Source>
__global__ void __launch_bounds__(kRowThreads, 3)
    normalise_rows(Source source, const float* shift, Terms<T, W, kResidual> terms, T* y, float floor, ChannelRows cut) {
  __shared__ float shared[3][kBlockChannels<T>];
  const RowPlace place = row_place<W>(cut);
  for (int i = static_cast<int>(threadIdx.x); i < cut.block_lanes * W; i += kRowThreads) {
    const std::int64_t c = place.block_channel + i;
    if (c >= cut.channels) break;
    const MeanScale factors = source(c, place.row_block == 0);
    shared[0][i] = factors.mean;
    shared[1][i] = factors.scale;
    shared[2][i] = shift[c];
  }
  __syncthreads();
  if (!place.active) return;
  float factors[3][W];
  const int column = static_cast<int>(place.channel - place.block_channel);
#pragma unroll
  for (int f = 0; f < 3; ++f)
#pragma unroll
    for (int w = 0; w < W; ++w) factors[f][w] = shared[f][column + w];
  walk_rows<kApplyAhead<kResidual>>(cut, place, [&](std::int64_t at) { return terms.load(at); },
                         [&](const auto& loaded, std::int64_t at) {
                           Pack<T, W> result;
#pragma unroll
                           for (int w = 0; w < W; ++w) {
                             float v =
                                 math::normalise(to_float(loaded.x.at[w]), factors[0][w], factors[1][w], factors[2][w]);
                             if constexpr (kResidual) v += to_float(loaded.residual.at[w]);
                             result.at[w] = from_float<T>(v < floor ? floor : v);  // a NaN stays one
                           }
                           store_pack<W>(y + at, result);
                         });
}

float floor_of(const BatchNormAttributes& attributes) {
  return attributes.activation == ActivationKind::relu ? 0.0f : -std::numeric_limits<float>::infinity();
}

template <typename T, int W, bool kResidual>
struct Forward {
  BatchNormAttributes attributes;
  ChannelRows sums, apply;

  Forward(const BatchNormAttributes& a, const Shape& x)
      : attributes(a),
        sums(cut_rows<T, W>(x.elements() / x[-1], x[-1], kGroup, kSumBlocks)),
        apply(cut_rows<T, W>(x.elements() / x[-1], x[-1], kApplyAhead<kResidual>, kApplyBlocks)) {}

  std::size_t partials_bytes() const {
    return round_up_256(static_cast<std::size_t>(2 * sums.row_blocks * sums.channels) * sizeof(float));
  }
  std::size_t scratch_bytes() const {
    return partials_bytes() + static_cast<std::size_t>(2 * sums.channels) * sizeof(float);
  }

  /// The residual is the last input.
  template <typename Source>
  void normalise(const KernelArguments& arguments, const Source& source, cudaStream_t stream) const {
    const int last = static_cast<int>(arguments.inputs.size()) - 1;
    const Terms<T, W, kResidual> terms{input<T>(arguments, 0), kResidual ? input<T>(arguments, last) : nullptr};
    launch(normalise_rows<T, W, kResidual, Source>, apply.grid(), dim3(kRowThreads), stream, source,
           input<float>(arguments, 2), terms, output<T>(arguments, 0), floor_of(attributes), apply);
  }

  void train(const KernelArguments& arguments, cudaStream_t stream) const {
    auto* partials = static_cast<float*>(arguments.scratch);
    auto* factors = reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) + partials_bytes());
    const JoinedMoments moments{partials, sums, attributes.epsilon, input<float>(arguments, 1), output<float>(arguments, 1),
                                output<float>(arguments, 2), output<float>(arguments, 3), factors};
    launch(moments_of_rows<T, W>, sums.grid(), dim3(kRowThreads), stream, input<T>(arguments, 0), sums, partials);
    const bool wanted = output<T>(arguments, 0) != nullptr;
    if (wanted && sums.row_blocks <= kFewBlocks) {
      normalise(arguments, FromMoments{moments}, stream);
      return;
    }
    launch(finish_rows<JoinedMoments>, finish_grid(sums.channels), dim3(kRowThreads), stream, moments, sums.row_blocks,
           sums.channels);
    if (wanted) normalise(arguments, FromFactors{factors, sums.channels}, stream);
  }

  void infer(const KernelArguments& arguments, cudaStream_t stream) const {
    normalise(arguments,
              FromRunning{input<float>(arguments, 1), input<float>(arguments, 3), input<float>(arguments, 4),
                          attributes.epsilon},
              stream);
  }
};

InPlace in_place(const OpDesc& op) {
  const int last = static_cast<int>(op.inputs.size()) - 1;
  return std::get<BatchNormAttributes>(op.attributes).residual ? InPlace{{0, 0}, {last, 0}} : InPlace{{0, 0}};
}

template <typename F>
Bound with_forward(const OpDesc& op, F f) {
  const Shape& x = op.inputs[0].shape;
  const auto& attributes = std::get<BatchNormAttributes>(op.attributes);
  return with_type(op.inputs[0].dtype, [&](auto t) {
    using T = decltype(t);
    return with_width<T>(x[-1], [&](auto width) {
      constexpr int W = decltype(width)::value;
      return attributes.residual ? f(Forward<T, W, true>(attributes, x)) : f(Forward<T, W, false>(attributes, x));
    });
  });
}

}  // namespace

Bound bind_batch_norm(const Context& context, const OpDesc& op, std::string*) {
  return with_forward(op, [&](const auto& forward) {
    return make_kernel(context, {.implementation = "rows",
                                 .run = [forward](const KernelArguments& arguments,
                                                  cudaStream_t stream) { forward.train(arguments, stream); },
                                 .scratch_bytes = forward.scratch_bytes(),
                                 .in_place = in_place(op)});
  });
}

Bound bind_batch_norm_inference(const Context& context, const OpDesc& op, std::string*) {
  return with_forward(op, [&](const auto& forward) {
    return make_kernel(context, {.implementation = "rows",
                                 .run = [forward](const KernelArguments& arguments,
                                                  cudaStream_t stream) { forward.infer(arguments, stream); },
                                 .in_place = in_place(op)});
  });
}

}  // namespace convoy::cuda
