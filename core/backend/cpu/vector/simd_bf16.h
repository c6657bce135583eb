#pragma once
// Vectors of bf16 in memory, of floats in registers: load and store of simd.h for Bf16, with the bits of tensor/narrow.h.
#include "core/backend/cpu/vector/simd.h"
#include "core/tensor/narrow.h"

namespace convoy::cpu::CONVOY_ISA {

#if defined(__AVX512F__)

CONVOY_INLINE Vec widened(__m256i bits) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)); }
CONVOY_INLINE Vec load(const Bf16* p) { return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
CONVOY_INLINE Vec load(const Bf16* p, i64 count) { return widened(_mm256_maskz_loadu_epi16(first_lanes(count), p)); }
/// To nearest, ties to even; NaNs quiet.
CONVOY_INLINE __m256i rounded(Vec v) {
  const __m512i bits = _mm512_castps_si512(v), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i nearest = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(nan, nearest, quiet), 16));
}
CONVOY_INLINE void store(Bf16* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded(v)); }
CONVOY_INLINE void store(Bf16* p, Vec v, i64 count) { _mm256_mask_storeu_epi16(p, first_lanes(count), rounded(v)); }

#else

CONVOY_INLINE Vec load(const Bf16* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
CONVOY_INLINE void store(Bf16* p, Vec v) {
  const __m256i bits = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i nearest = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i words = _mm256_srli_epi32(_mm256_blendv_epi8(nearest, quiet, nan), 16);
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
}
CONVOY_INLINE Vec load(const Bf16* p, i64 count) {
  Bf16 lanes[kLanes] = {};
  for (i64 i = 0; i < count; ++i) lanes[i] = p[i];
  return load(lanes);
}
CONVOY_INLINE void store(Bf16* p, Vec v, i64 count) {
  Bf16 lanes[kLanes];
  store(lanes, v);
  for (i64 i = 0; i < count; ++i) p[i] = lanes[i];
}

#endif

}  // namespace convoy::cpu::CONVOY_ISA
