#pragma once
// The end of products whose depth was cut (tiles.cuh), and sums over rows: gradients of filters, weights and
// biases.
#include "core/backend/cuda/block_sum.cuh"
#include "core/backend/cuda/lanes.h"

namespace convoy::cuda {

/// to[i] = sum over splits of parts[split, i], first to last.
__global__ static void fold_splits(const float* parts, std::int64_t splits, std::int64_t size, float* to) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= size) return;
  float sum = parts[i];
  for (std::int64_t split = 1; split < splits; ++split) sum += parts[split * size + i];
  to[i] = sum;
}

/// Rows that one block of sum_rows takes, and channels side by side in it.
inline constexpr std::int64_t kSumRows = 1024;
inline constexpr int kSumChannels = 32;

inline std::int64_t row_runs(std::int64_t rows) { return (rows + kSumRows - 1) / kSumRows; }

/// parts [runs, channels]: sums of x [rows, channels] over runs of kSumRows rows.
template <typename T>
__global__ void sum_rows(const T* x, std::int64_t rows, std::int64_t channels, Divisor channel_blocks,
                         float* parts) {
  constexpr int kSide = kThreads / kSumChannels;
  __shared__ float sums[kSide][kSumChannels];
  std::uint32_t run = blockIdx.x;
  const std::int64_t c = channel_blocks.take(run) * kSumChannels + threadIdx.x % kSumChannels;
  const unsigned side = threadIdx.x / kSumChannels;
  const std::int64_t begin = run * kSumRows, end = begin + kSumRows < rows ? begin + kSumRows : rows;
  float mine = 0;
  if (c < channels)
    for (std::int64_t r = begin + side; r < end; r += kSide) mine += to_float(x[r * channels + c]);
  sums[side][threadIdx.x % kSumChannels] = mine;
  __syncthreads();
  if (side != 0 || c >= channels) return;
  float sum = mine;
#pragma unroll
  for (int s = 1; s < kSide; ++s) sum += sums[s][threadIdx.x];
  parts[run * channels + c] = sum;
}

/// Scratch of sum_to_bias.
inline std::size_t bias_bytes(std::int64_t rows, std::int64_t channels) {
  return round_up_256(static_cast<std::size_t>(row_runs(rows) * channels) * sizeof(float));
}

/// dbias [channels] = sum over the rows of dy.
template <typename T>
void sum_to_bias(const T* dy, std::int64_t rows, std::int64_t channels, float* parts, float* dbias,
                 cudaStream_t stream) {
  const std::int64_t blocks = (channels + kSumChannels - 1) / kSumChannels;
  launch(sum_rows<T>, static_cast<unsigned>(row_runs(rows) * blocks), kThreads, stream, dy, rows, channels,
         Divisor(blocks), parts);
  launch(fold_splits, blocks_for(channels), kThreads, stream, parts, row_runs(rows), channels, dbias);
}

}  // namespace convoy::cuda
