#pragma once
// What one thread reads and writes: V neighbouring elements, as floats. V is kPack<T> (a 16-byte access) where rows are
// multiples of it, else 1.
#include <string>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {

/// V neighbouring elements of any type; arrays of them lie at multiples of their size (at most 16 bytes).
template <typename T, int V>
struct alignas(V * sizeof(T) < 16 ? V * sizeof(T) : 16) Group {
  T at[V];
};

template <int V, typename T>
__device__ inline Group<T, V> read(const T* from) {
  return *reinterpret_cast<const Group<T, V>*>(from);
}
template <int V, typename T>
__device__ inline void write(T* to, const Group<T, V>& group) {
  *reinterpret_cast<Group<T, V>*>(to) = group;
}

template <int V, typename T>
__device__ inline void load(const T* from, float (&to)[V]) {
  const Group<T, V> group = read<V>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) to[v] = to_float(group.at[v]);
}
/// Rounds each element once.
template <int V, typename T>
__device__ inline void store(T* to, const float (&from)[V]) {
  Group<T, V> group;
#pragma unroll
  for (int v = 0; v < V; ++v) group.at[v] = from_float<T>(from[v]);
  write<V>(to, group);
}

/// Calls f with a value of the operand's type: bind(float{}), bind(Bf16{}), bind(F16{}).
template <typename F>
Bound with_real(DType type, std::string* reason, F bind) {
  switch (type) {
    case DType::f32:
      return bind(float{});
    case DType::bf16:
      return bind(Bf16{});
    case DType::f16:
      return bind(F16{});
    default:
      break;
  }
  *reason = "data is float32, bfloat16 or float16, but this is " + std::string(convoy::name_of(type));
  return nullptr;
}

}  // namespace convoy::cuda
