#pragma once
// 16-byte accesses. Arrays begin at multiples of 16 bytes; what is left over at the end goes one element at a time.
#include <cstdint>

#include "core/ops/elementwise_math.h"
#include "core/tensor/narrow.h"

namespace convoy::cuda {

/// As many elements as 16 bytes hold: 4 floats, 8 bf16 or f16.
template <typename T>
inline constexpr int kPack = 16 / static_cast<int>(sizeof(T));

template <typename T>
struct alignas(16) Pack {
  T at[kPack<T>];
};

}  // namespace convoy::cuda
