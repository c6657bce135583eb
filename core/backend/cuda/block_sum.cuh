#pragma once
// Sums over the threads of a block of kThreads, in a fixed order.
#include "core/backend/cuda/index.h"

namespace convoy::cuda {

/// The sum over all threads, for thread 0 alone. All threads call it; it may be called again after a
/// __syncthreads().
__device__ inline double block_sum(double mine) {
  __shared__ double sums[kThreads];
  sums[threadIdx.x] = mine;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[0];
}

/// The sum over neighbouring lanes, `Lanes` (a power of two) at a time, for each of them.
template <int Lanes>
__device__ inline float lane_sum(float mine) {
#pragma unroll
  for (int flip = Lanes / 2; flip > 0; flip /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, flip);
  return mine;
}
template <int Lanes>
__device__ inline float lane_largest(float mine) {
#pragma unroll
  for (int flip = Lanes / 2; flip > 0; flip /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, mine, flip);
    mine = other > mine ? other : mine;
  }
  return mine;
}

}  // namespace convoy::cuda
