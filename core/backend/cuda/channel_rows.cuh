#pragma once
// Arrays [rows, channels] and one number per channel: who reads what, and sums over rows in one fixed order.
//
// A block takes some neighbouring channels and a range of rows. Each of its threads stays on `W` neighbouring channels,
// one access wide, and walks down the rows, so that what belongs to a channel is read once. A sum over rows is taken in
// three steps: by each thread in f32, over the threads of a block by a tree in f32, and over blocks in double (the f32
// chains stay short, some hundred terms, however many rows there are). Where rows and channels are cut follows from the
// problem alone, never from the device.
#include <algorithm>
#include <cstdint>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/launch.h"

namespace convoy::cuda {

inline constexpr int kRowThreads = 256;
/// Bytes of a row that a block takes at most: whole transactions, and enough rows at a time for the tree to cost little.
inline constexpr int kRowBytes = 512;
/// Blocks of a sum over rows, where rows are many: whole rounds on 132 multiprocessors (H100, H200) with two, four or eight
/// blocks each; and of work that needs no sum, whose blocks may be smaller.
inline constexpr std::int64_t kSumBlocks = 8 * 132, kApplyBlocks = 32 * 132;
/// Most channels of a block.
template <typename T>
inline constexpr int kBlockChannels = kRowBytes / static_cast<int>(sizeof(T));

struct ChannelRows {
  std::int64_t rows = 0, channels = 1;
  int block_lanes = 1;              // threads side by side in a row
  int block_rows = 1;               // rows that a block reads at once
  int chunks = 1;                   // blocks side by side
  std::int64_t rows_per_block = 1;
  int row_blocks = 1;

  dim3 grid() const { return dim3(static_cast<unsigned>(row_blocks) * static_cast<unsigned>(chunks)); }
};

/// About `blocks` blocks, or fewer: a thread takes at least `ahead` rows, which it reads at once.
template <typename T, int W>
ChannelRows cut_rows(std::int64_t rows, std::int64_t channels, int ahead, std::int64_t blocks) {
  ChannelRows cut{.rows = rows, .channels = channels};
  const std::int64_t lanes = channels / W, most = kBlockChannels<T> / W;
  cut.chunks = static_cast<int>((lanes + most - 1) / most);
  cut.block_lanes = static_cast<int>((lanes + cut.chunks - 1) / cut.chunks);
  cut.block_rows = kRowThreads / cut.block_lanes;
  const std::int64_t step = std::int64_t{ahead} * cut.block_rows;
  const std::int64_t wanted = std::max<std::int64_t>(1, blocks / cut.chunks);
  cut.rows_per_block = std::max<std::int64_t>(1, ((rows + wanted - 1) / wanted + step - 1) / step) * step;
  cut.row_blocks = static_cast<int>((rows + cut.rows_per_block - 1) / cut.rows_per_block);
  return cut;
}

/// What a thread takes: rows row_begin, row_begin + block_rows, .. below row_end, channels [channel, channel + W).
struct RowPlace {
  int row_block, row;               // row: the thread's among those that the block reads at once
  std::int64_t block_channel;       // the block's first
  std::int64_t channel;
  bool active;                      // false: a thread left over
  std::int64_t row_begin, row_end;
};

template <int W>
__device__ __forceinline__ RowPlace row_place(const ChannelRows& cut) {
  RowPlace place;
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const int lane = thread % cut.block_lanes;
  place.row_block = block / cut.chunks;
  place.row = thread / cut.block_lanes;
  place.block_channel = std::int64_t{block % cut.chunks} * cut.block_lanes * W;
  place.channel = place.block_channel + std::int64_t{lane} * W;
  place.active = place.row < cut.block_rows && place.channel < cut.channels;
  const std::int64_t begin = place.row_block * cut.rows_per_block, end = begin + cut.rows_per_block;
  place.row_begin = begin + place.row;
  place.row_end = end < cut.rows ? end : cut.rows;
  return place;
}

/// Calls use(load(at), at) for the thread's places, first in the array, in their order; `kAhead` loads come before the
/// first use of any.
template <int kAhead, typename Load, typename Use>
__device__ __forceinline__ void walk_rows(const ChannelRows& cut, const RowPlace& place, Load load, Use use) {
  const std::int64_t step = cut.block_rows * cut.channels;
  for (std::int64_t row = place.row_begin; row < place.row_end; row += kAhead * cut.block_rows) {
    const std::int64_t first = row * cut.channels + place.channel;
    decltype(load(first)) loaded[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (row + u * cut.block_rows < place.row_end) loaded[u] = load(first + u * step);
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      if (row + u * cut.block_rows >= place.row_end) break;
      use(loaded[u], first + u * step);
    }
  }
}

/// Joins what the rows of a block hold, N numbers a thread, into the threads of row 0: merge(left, right) changes left.
/// All threads of the block call it.
template <int N, typename Merge>
__device__ __forceinline__ void fold_block(const ChannelRows& cut, const RowPlace& place, float (&mine)[N], Merge merge) {
  __shared__ float shared[N][kRowThreads];
  int half = 1;
  while (2 * half < cut.block_rows) half *= 2;
#pragma unroll
  for (int n = 0; n < N; ++n) shared[n][threadIdx.x] = mine[n];
  for (; half > 0; half /= 2) {
    __syncthreads();
    if (place.row >= half || place.row + half >= cut.block_rows) continue;
    float other[N];
#pragma unroll
    for (int n = 0; n < N; ++n) other[n] = shared[n][static_cast<int>(threadIdx.x) + half * cut.block_lanes];
    merge(mine, other);
#pragma unroll
    for (int n = 0; n < N; ++n) shared[n][threadIdx.x] = mine[n];
  }
}

/// Partial sums lie in [row_blocks, sums, channels].
__device__ __forceinline__ std::int64_t partial_at(int row_block, int sum, int sums, std::int64_t channels) {
  return (std::int64_t{row_block} * sums + sum) * channels;
}

template <int kSums, int W>
__device__ __forceinline__ void store_partials(const ChannelRows& cut, const RowPlace& place, const float* mine,
                                               float* partials) {
  if (!place.active || place.row != 0) return;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    Pack<float, W> pack;
#pragma unroll
    for (int w = 0; w < W; ++w) pack.at[w] = mine[s * W + w];
    store_pack<W>(partials + partial_at(place.row_block, s, kSums, cut.channels) + place.channel, pack);
  }
}

/// A Term says what is summed:
///   kWidth (W), kSums, kAhead
///   Loaded load(at) const               the operands at [at, at + W)
///   Channel channel(c) const            what is constant for channels [c, c + W)
///   void add(const Loaded&, std::int64_t at, const Channel&, float (&sums)[kSums * W]) const
template <typename Term>
__global__ void __launch_bounds__(kRowThreads) sum_rows(Term term, ChannelRows cut, float* partials) {
  constexpr int W = Term::kWidth, N = Term::kSums * W;
  const RowPlace place = row_place<W>(cut);
  float sums[N] = {};
  if (place.active) {
    const auto channel = term.channel(place.channel);
    walk_rows<Term::kAhead>(cut, place, [&](std::int64_t at) { return term.load(at); },
                            [&](const auto& loaded, std::int64_t at) { term.add(loaded, at, channel, sums); });
  }
  fold_block(cut, place, sums, [](float (&left)[N], const float (&right)[N]) {
#pragma unroll
    for (int n = 0; n < N; ++n) left[n] += right[n];
  });
  store_partials<Term::kSums, W>(cut, place, sums, partials);
}

constexpr int kFinishChannels = 8, kFinishSlices = kRowThreads / kFinishChannels;

/// A Finish makes of the partial sums what a channel needs:
///   kSums
///   void add(row_block, c, double (&sums)[kSums]) const
///   void finish(c, const double (&sums)[kSums]) const
template <typename Finish>
__global__ void __launch_bounds__(kRowThreads) finish_rows(Finish finish, int row_blocks, std::int64_t channels) {
  constexpr int N = Finish::kSums;
  __shared__ double shared[N][kRowThreads];
  const int thread = static_cast<int>(threadIdx.x), slice = thread / kFinishChannels;
  const std::int64_t c = std::int64_t{blockIdx.x} * kFinishChannels + thread % kFinishChannels;
  double sums[N] = {};
  if (c < channels)
#pragma unroll 8
    for (int b = slice; b < row_blocks; b += kFinishSlices) finish.add(b, c, sums);
  for (int n = 0; n < N; ++n) shared[n][thread] = sums[n];
  for (int half = kFinishSlices / 2; half > 0; half /= 2) {
    __syncthreads();
    if (slice >= half) continue;
    for (int n = 0; n < N; ++n) {
      sums[n] += shared[n][thread + half * kFinishChannels];
      shared[n][thread] = sums[n];
    }
  }
  if (slice == 0 && c < channels) finish.finish(c, sums);
}

inline dim3 finish_grid(std::int64_t channels) {
  return dim3(static_cast<unsigned>((channels + kFinishChannels - 1) / kFinishChannels));
}

}  // namespace convoy::cuda
