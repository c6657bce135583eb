#pragma once
// What one thread reads and writes: V neighbouring elements, as floats. V is kPack<T> (a 16-byte access) where
// rows are multiples of it, else 1.
#include "core/backend/cuda/dispatch.h"
#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {

template <int V, typename T>
__device__ inline void load(const T* from, float (&to)[V]) {
  const Pack<T, V> pack = load_pack<V>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) to[v] = to_float(pack.at[v]);
}
/// Rounds each element once.
template <int V, typename T>
__device__ inline void store(T* to, const float (&from)[V]) {
  Pack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.at[v] = from_float<T>(from[v]);
  store_pack<V>(to, pack);
}

}  // namespace convoy::cuda
