#pragma once
// One float vector of the instruction set that this file is compiled for (CONVOY_ISA: avx2 or avx512, see
// CMakeLists.txt). Everything is force-inlined into a namespace per instruction set.
#include <immintrin.h>

#include <cstdint>

#define CONVOY_INLINE static inline __attribute__((always_inline))

namespace convoy::cpu::CONVOY_ISA {

using i64 = std::int64_t;

#if defined(__AVX512F__)

inline constexpr i64 kLanes = 16;
using Vec = __m512;
using Mask = __mmask16;
using Lanes = __m512i;  // which lane to take

CONVOY_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
CONVOY_INLINE void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
CONVOY_INLINE Mask first_lanes(i64 count) { return static_cast<Mask>((1u << count) - 1u); }  // count <= 16
CONVOY_INLINE Vec load(const float* p, i64 count) { return _mm512_maskz_loadu_ps(first_lanes(count), p); }
CONVOY_INLINE void store(float* p, Vec v, i64 count) { _mm512_mask_storeu_ps(p, first_lanes(count), v); }
CONVOY_INLINE Vec broadcast(float x) { return _mm512_set1_ps(x); }
CONVOY_INLINE Vec zero() { return _mm512_setzero_ps(); }
CONVOY_INLINE Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
CONVOY_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
CONVOY_INLINE Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
CONVOY_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
CONVOY_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
CONVOY_INLINE Mask greater(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
/// a > b, or a is not a number.
CONVOY_INLINE Mask greater_or_nan(Vec a, Vec b) {
  return static_cast<Mask>(greater(a, b) | _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q));
}
CONVOY_INLINE Mask equal(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
/// yes where the mask is set, else no.
CONVOY_INLINE Vec select(Mask mask, Vec yes, Vec no) { return _mm512_mask_blend_ps(mask, no, yes); }
CONVOY_INLINE float sum(Vec v) { return _mm512_reduce_add_ps(v); }
/// p[i] + shift.
CONVOY_INLINE Lanes load_lanes(const std::int32_t* p, int shift) {
  return _mm512_add_epi32(_mm512_loadu_si512(p), _mm512_set1_epi32(shift));
}
CONVOY_INLINE Vec permute(Vec v, Lanes from) { return _mm512_permutexvar_ps(from, v); }
/// Small whole numbers to and from bytes and ints.
CONVOY_INLINE void store_u8(std::uint8_t* p, Vec v, i64 count) {
  _mm512_mask_cvtepi32_storeu_epi8(p, first_lanes(count), _mm512_cvtps_epi32(v));
}
CONVOY_INLINE Vec load_u8(const std::uint8_t* p, i64 count) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_lanes(count), p)));
}
CONVOY_INLINE void store_i32(std::int32_t* p, Vec v, i64 count) {
  _mm512_mask_storeu_epi32(p, first_lanes(count), _mm512_cvtps_epi32(v));
}
CONVOY_INLINE Vec load_i32(const std::int32_t* p, i64 count) {
  return _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(first_lanes(count), p));
}

/// to[j][i] = from[i][j] for a square of kLanes.
CONVOY_INLINE void transpose(const float* from, i64 from_step, float* to, i64 to_step) {
  __m512 r[16], s[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(from + i * from_step);
  for (int i = 0; i < 16; i += 2) {  // pairs of rows: columns 0 1 4 5 .. within each quarter
    s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {  // fours of rows: one column in each quarter
    for (int h = 0; h < 2; ++h) {
      const __m512d low = _mm512_castps_pd(s[i + h]), high = _mm512_castps_pd(s[i + 2 + h]);
      r[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      r[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  for (int c = 0; c < 4; ++c) {  // quarters to their places: 16 rows of columns c, c + 4, c + 8, c + 12
    const __m512 a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), b = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
    const __m512 d = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88),
                 e = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    _mm512_storeu_ps(to + c * to_step, _mm512_shuffle_f32x4(a, d, 0x88));
    _mm512_storeu_ps(to + (c + 8) * to_step, _mm512_shuffle_f32x4(a, d, 0xdd));
    _mm512_storeu_ps(to + (c + 4) * to_step, _mm512_shuffle_f32x4(b, e, 0x88));
    _mm512_storeu_ps(to + (c + 12) * to_step, _mm512_shuffle_f32x4(b, e, 0xdd));
  }
}

#else

inline constexpr i64 kLanes = 8;
using Vec = __m256;
using Mask = __m256;
using Lanes = __m256i;

CONVOY_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
CONVOY_INLINE void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
CONVOY_INLINE __m256i first_lanes(i64 count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
}
CONVOY_INLINE Vec load(const float* p, i64 count) { return _mm256_maskload_ps(p, first_lanes(count)); }
CONVOY_INLINE void store(float* p, Vec v, i64 count) { _mm256_maskstore_ps(p, first_lanes(count), v); }
CONVOY_INLINE Vec broadcast(float x) { return _mm256_set1_ps(x); }
CONVOY_INLINE Vec zero() { return _mm256_setzero_ps(); }
CONVOY_INLINE Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
CONVOY_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
CONVOY_INLINE Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
CONVOY_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
CONVOY_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
CONVOY_INLINE Mask greater(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
/// a > b, or a is not a number.
CONVOY_INLINE Mask greater_or_nan(Vec a, Vec b) { return _mm256_or_ps(greater(a, b), _mm256_cmp_ps(a, a, _CMP_UNORD_Q)); }
CONVOY_INLINE Mask equal(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
CONVOY_INLINE Vec select(Mask mask, Vec yes, Vec no) { return _mm256_blendv_ps(no, yes, mask); }
CONVOY_INLINE Lanes load_lanes(const std::int32_t* p, int shift) {
  return _mm256_add_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_set1_epi32(shift));
}
CONVOY_INLINE Vec permute(Vec v, Lanes from) { return _mm256_permutevar8x32_ps(v, from); }
CONVOY_INLINE float sum(Vec v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
CONVOY_INLINE void store_u8(std::uint8_t* p, Vec v, i64 count) {
  alignas(32) std::int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_cvtps_epi32(v));
  for (i64 i = 0; i < count; ++i) p[i] = static_cast<std::uint8_t>(lanes[i]);
}
CONVOY_INLINE Vec load_u8(const std::uint8_t* p, i64 count) {
  alignas(32) std::int32_t lanes[8] = {};
  for (i64 i = 0; i < count; ++i) lanes[i] = p[i];
  return _mm256_cvtepi32_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(lanes)));
}
CONVOY_INLINE void store_i32(std::int32_t* p, Vec v, i64 count) {
  _mm256_maskstore_epi32(p, first_lanes(count), _mm256_cvtps_epi32(v));
}
CONVOY_INLINE Vec load_i32(const std::int32_t* p, i64 count) {
  return _mm256_cvtepi32_ps(_mm256_maskload_epi32(p, first_lanes(count)));
}
CONVOY_INLINE void transpose(const float* from, i64 from_step, float* to, i64 to_step) {
  __m256 r[8], s[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * from_step);
  for (int i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int h = 0; h < 2; ++h) {
      const __m256d low = _mm256_castps_pd(s[i + h]), high = _mm256_castps_pd(s[i + 2 + h]);
      r[i + 2 * h] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
      r[i + 2 * h + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
    }
  for (int c = 0; c < 4; ++c) {
    _mm256_storeu_ps(to + c * to_step, _mm256_permute2f128_ps(r[c], r[4 + c], 0x20));
    _mm256_storeu_ps(to + (c + 4) * to_step, _mm256_permute2f128_ps(r[c], r[4 + c], 0x31));
  }
}

#endif

CONVOY_INLINE i64 smaller(i64 a, i64 b) { return a < b ? a : b; }
CONVOY_INLINE i64 larger(i64 a, i64 b) { return a < b ? b : a; }

}  // namespace convoy::cpu::CONVOY_ISA
