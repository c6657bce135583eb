#pragma once
// The 16-bit real types: bfloat16 (1 sign, 8 exponent, 7 fraction bits) and IEEE binary16. Storage only: arithmetic is
// done in float. Conversions round to nearest, ties to even, the same bits on every device (but which of the NaNs).
#include <cstdint>
#include <type_traits>

#include "core/tensor/dtype.h"

#if defined(__CUDACC__)
#define CONVOY_NARROW __host__ __device__ __forceinline__
#else
// Force-inlined: files compiled for different instruction sets include this, and must not share a copy.
#define CONVOY_NARROW static inline __attribute__((always_inline))
#endif

namespace convoy {

struct Bf16 {
  std::uint16_t bits;
};
struct F16 {
  std::uint16_t bits;
};
template <> constexpr DType dtype_of<Bf16>() { return DType::bf16; }
template <> constexpr DType dtype_of<F16>() { return DType::f16; }

CONVOY_NARROW std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
CONVOY_NARROW float float_of_bits(std::uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

CONVOY_NARROW float to_float(float x) { return x; }
CONVOY_NARROW float to_float(Bf16 x) { return float_of_bits(static_cast<std::uint32_t>(x.bits) << 16); }
/// Exact: every binary16 value is a float.
CONVOY_NARROW float to_float(F16 x) {
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
  return value;
#else
  const std::uint32_t sign = (static_cast<std::uint32_t>(x.bits) & 0x8000u) << 16;
  const std::uint32_t magnitude = x.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return float_of_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);  // infinity, NaN
  if (magnitude >= 0x0400u) return float_of_bits(sign | ((magnitude << 13) + 0x38000000u));
  // Subnormal: magnitude 2^-24, an exact product.
  return float_of_bits(sign | bits_of(static_cast<float>(magnitude) * 5.9604644775390625e-8f));
#endif
}

// NaNs stay NaNs (quiet); values beyond the largest become infinities.
CONVOY_NARROW Bf16 to_bf16(float x) {
#if defined(__CUDA_ARCH__)
  Bf16 value;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(value.bits) : "f"(x));
  return value;
#else
  const std::uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x0040u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
#endif
}
CONVOY_NARROW F16 to_f16(float x) {
#if defined(__CUDA_ARCH__)
  F16 value;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(value.bits) : "f"(x));
  return value;
#else
  const std::uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  // All ways are computed and one is chosen, so that a compiler makes vector code of it.
  const std::uint32_t normal = (magnitude - 0x38000000u + 0x0fffu + (magnitude >> 13 & 1u)) >> 13;
  // Subnormal, a multiple of 2^-24: adding 1/2 makes the float unit round it there.
  const std::uint32_t subnormal = bits_of(float_of_bits(magnitude) + 0.5f) - 0x3f000000u;
  std::uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477ff000u ? 0x7c00u : half;  // 65520 and above: infinity
  half = magnitude > 0x7f800000u ? 0x7e00u : half;   // NaN
  return {static_cast<std::uint16_t>(sign | half)};
#endif
}

/// x in the type T: float, Bf16 or F16.
template <typename T>
CONVOY_NARROW T from_float(float x) {
  if constexpr (std::is_same_v<T, Bf16>)
    return to_bf16(x);
  else if constexpr (std::is_same_v<T, F16>)
    return to_f16(x);
  else
    return x;
}

/// x as the type T holds it.
template <typename T>
CONVOY_NARROW float rounded_to(float x) {
  return to_float(from_float<T>(x));
}

}  // namespace convoy
