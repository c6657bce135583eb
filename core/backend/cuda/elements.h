#pragma once
// 16-byte accesses. Arrays begin at multiples of 16 bytes; what is left over at the end goes one element at a time.
#include <cstdint>

#include "core/ops/elementwise_math.h"
#include "core/tensor/narrow.h"

namespace convoy::cuda {

/// As many elements as 16 bytes hold: 4 floats, 8 bf16 or f16.
template <typename T>
inline constexpr int kPack = 16 / static_cast<int>(sizeof(T));

/// N neighbours, moved in one access (in two where they have 32 bytes).
template <typename T, int N = kPack<T>>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack {
  T at[N];
};

template <int N, typename T>
CONVOY_HOST_DEVICE Pack<T, N> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, typename T>
CONVOY_HOST_DEVICE void store_pack(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

}  // namespace convoy::cuda
