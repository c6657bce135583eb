#pragma once
// From what an op says at bind time to the template arguments of a kernel.
#include <cstdint>
#include <type_traits>

#include "core/backend/cuda/elements.h"
#include "core/tensor/dtype.h"

namespace convoy::cuda {

/// f(T{}) with T the type of data operands: Bf16, F16, else float.
template <typename F>
auto with_type(DType type, F f) {
  switch (type) {
    case DType::bf16: return f(Bf16{});
    case DType::f16: return f(F16{});
    default: return f(float{});
  }
}

template <int N>
using Constant = std::integral_constant<int, N>;

/// f(Constant<W>{}) with W the most channels of an array [.., channels] of T that one access may move: a power of two
/// that divides their number, up to 16 bytes.
template <typename T, typename F>
auto with_width(std::int64_t channels, F f) {
  if constexpr (kPack<T> == 8)
    if (channels % 8 == 0) return f(Constant<8>{});
  if (channels % 4 == 0) return f(Constant<4>{});
  if (channels % 2 == 0) return f(Constant<2>{});
  return f(Constant<1>{});
}

}  // namespace convoy::cuda
