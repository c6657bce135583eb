#include "core/backend/cpu/vector/rows.h"

#include "core/backend/cpu/vector/simd.h"
#include "core/ops/elementwise_math.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

/// sums[i] = the sum of padded[i .. i + 2 half]; padded has c + 2 half numbers.
CONVOY_INLINE void window_sums(const float* padded, i64 half, float* sums, i64 c) {
#pragma omp simd
  for (i64 i = 0; i < c; ++i) sums[i] = padded[i];
  for (i64 d = 1; d <= 2 * half; ++d) {
#pragma omp simd
    for (i64 i = 0; i < c; ++i) sums[i] += padded[i + d];
  }
}

/// Zeros at both ends of padded.
CONVOY_INLINE void clear_border(float* padded, i64 half, i64 c) {
  for (i64 i = 0; i < half; ++i) padded[i] = padded[half + c + i] = 0;
}

/// s [c] of one row.
CONVOY_INLINE void responses(const LocalResponse& rule, const float* x, i64 c, float* padded, float* s) {
#pragma omp simd
  for (i64 i = 0; i < c; ++i) padded[rule.half + i] = x[i] * x[i];
  window_sums(padded, rule.half, s, c);
#pragma omp simd
  for (i64 i = 0; i < c; ++i) s[i] = math::fused(rule.alpha, s[i], rule.k);
}

void local_response(const LocalResponse& rule, const float* x, float* y, i64 rows, i64 c, float* work) {
  float *padded = work, *s = work + c + 2 * rule.half;
  clear_border(padded, rule.half, c);
  for (i64 r = 0; r < rows; ++r, x += c, y += c) {
    responses(rule, x, c, padded, s);
#pragma omp simd
    for (i64 i = 0; i < c; ++i) y[i] = x[i] * math::power(s[i], -rule.beta);
  }
}

void local_response_backward(const LocalResponse& rule, const float* x, const float* dy, float* dx, i64 rows, i64 c, float* work) {
  float *padded = work, *s = work + c + 2 * rule.half, *sums = s + c;
  const float factor = 2.0f * rule.alpha * rule.beta;
  clear_border(padded, rule.half, c);
  for (i64 r = 0; r < rows; ++r, x += c, dy += c, dx += c) {
    responses(rule, x, c, padded, s);
#pragma omp simd
    for (i64 i = 0; i < c; ++i) {
      const float direct = dy[i] * math::power(s[i], -rule.beta);
      padded[rule.half + i] = direct * x[i] / s[i];
      s[i] = direct;
    }
    window_sums(padded, rule.half, sums, c);
#pragma omp simd
    for (i64 i = 0; i < c; ++i) dx[i] = math::fused(-factor * x[i], sums[i], s[i]);
  }
}

constexpr i64 kSumBlock = 256;  // elements summed in single precision before they enter the sum in double

/// The sum of f(i) over [0, n).
template <typename F>
CONVOY_INLINE double sum_of(i64 n, F f) {
  double total = 0;
  for (i64 begin = 0; begin < n; begin += kSumBlock) {
    const i64 end = smaller(begin + kSumBlock, n);
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (i64 i = begin; i < end; ++i) part += f(i);
    total += static_cast<double>(part);
  }
  return total;
}

void layer_norm(double epsilon, const float* x, float* y, float* inverse, i64 rows, i64 c) {
  const auto count = static_cast<double>(c);
  for (i64 r = 0; r < rows; ++r, x += c, y += c) {
    const auto mean = static_cast<float>(sum_of(c, [=](i64 i) { return x[i]; }) / count);
    // The rounding of the mean is taken off again: sum (x - m)^2 - (sum (x - m))^2 / c.
    const double rest = sum_of(c, [=](i64 i) { return x[i] - mean; }) / count;
    const double squares = sum_of(c, [=](i64 i) { return (x[i] - mean) * (x[i] - mean); }) / count;
    const double variance = squares - rest * rest;
    const auto d = static_cast<float>(1 / __builtin_sqrt((variance > 0 ? variance : variance - variance) + epsilon));
    const auto shift = static_cast<float>(rest);
#pragma omp simd
    for (i64 i = 0; i < c; ++i) y[i] = (x[i] - mean - shift) * d;
    if (inverse != nullptr) inverse[r] = d;
  }
}

void layer_norm_backward(const float* y, const float* inverse, const float* dy, float* dx, i64 rows, i64 c) {
  const auto count = static_cast<double>(c);
  for (i64 r = 0; r < rows; ++r, y += c, dy += c, dx += c) {
    const auto mean = static_cast<float>(sum_of(c, [=](i64 i) { return dy[i]; }) / count);
    const auto product = static_cast<float>(sum_of(c, [=](i64 i) { return dy[i] * y[i]; }) / count);
    const float d = inverse[r];
#pragma omp simd
    for (i64 i = 0; i < c; ++i) dx[i] = d * math::fused(-product, y[i], dy[i] - mean);
  }
}

void accumulate(float weight, const float* x, float* y, i64 n) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) y[i] = math::fused(weight, x[i], y[i]);
}

}  // namespace

const RowKernels row_kernels = {
    .local_response = local_response,
    .local_response_backward = local_response_backward,
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .accumulate = accumulate,
};

}  // namespace convoy::cpu::CONVOY_ISA
