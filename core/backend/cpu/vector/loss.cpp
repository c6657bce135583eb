#include "core/backend/cpu/vector/loss.h"

#include "core/backend/cpu/vector/simd.h"
#include "core/ops/elementwise_math.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

CONVOY_INLINE float largest(const float* x, i64 n) {
  float best = x[0];
#pragma omp simd reduction(max : best)
  for (i64 i = 0; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

/// Probabilities go into p; returns the sum of exp(x - top) before the division.
CONVOY_INLINE float softmax_row(const float* x, i64 k, float top, float* p) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (i64 i = 0; i < k; ++i) {
    p[i] = math::exp(x[i] - top);
    total += p[i];
  }
  const float inverse = 1.0f / total;
#pragma omp simd
  for (i64 i = 0; i < k; ++i) p[i] *= inverse;
  return total;
}

CONVOY_INLINE float sum_of_exp(const float* x, i64 k, float top) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (i64 i = 0; i < k; ++i) total += math::exp(x[i] - top);
  return total;
}

/// Mean of x - top.
CONVOY_INLINE float mean_below(const float* x, i64 k, float top) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (i64 i = 0; i < k; ++i) total += x[i] - top;
  return total / static_cast<float>(k);
}

void softmax(const float* logits, const std::int32_t* labels, i64 rows, i64 k, float smoothing, float* probabilities,
             float* losses) {
  for (i64 r = 0; r < rows; ++r) {
    const float* x = logits + r * k;
    const float top = largest(x, k);
    const float total =
        probabilities != nullptr ? softmax_row(x, k, top, probabilities + r * k) : sum_of_exp(x, k, top);
    float own = x[labels[r]];
    if (smoothing > 0) own = top + ((1.0f - smoothing) * (own - top) + smoothing * mean_below(x, k, top));
    losses[r] = math::cross_entropy(total, top, own);
  }
}

void softmax_backward(const float* probabilities, const std::int32_t* labels, i64 rows, i64 k, float smoothing,
                      float factor, float* gradient) {
  const math::Smoothed target = math::smoothed(smoothing, static_cast<float>(k));
  for (i64 r = 0; r < rows; ++r) {
    const float* p = probabilities + r * k;
    float* g = gradient + r * k;
    const float label = p[labels[r]];
#pragma omp simd
    for (i64 i = 0; i < k; ++i) g[i] = (p[i] - target.others) * factor;
    g[labels[r]] = (label - target.others - target.label) * factor;
  }
}

constexpr i64 kSumBlock = 256;  // elements summed in single precision before they enter the sum in double

double squared(const float* prediction, const float* target, i64 n) {
  double total = 0;
  for (i64 begin = 0; begin < n; begin += kSumBlock) {
    const i64 end = smaller(begin + kSumBlock, n);
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (i64 i = begin; i < end; ++i) {
      const float d = prediction[i] - target[i];
      part += d * d;
    }
    total += static_cast<double>(part);
  }
  return total;
}

double binary(const float* logits, const float* target, i64 n, float* probabilities) {
  double total = 0;
  for (i64 begin = 0; begin < n; begin += kSumBlock) {
    const i64 end = smaller(begin + kSumBlock, n);
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (i64 i = begin; i < end; ++i) part += math::binary_cross_entropy(logits[i], target[i]);
    total += static_cast<double>(part);
  }
  if (probabilities != nullptr) {
#pragma omp simd
    for (i64 i = 0; i < n; ++i) probabilities[i] = math::sigmoid(logits[i]);
  }
  return total;
}

void difference(const float* a, const float* b, i64 n, float factor, float* gradient) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) gradient[i] = (a[i] - b[i]) * factor;
}

i64 rank(const float* logits, i64 k, i64 label) {
  const float own = logits[label];
  if (own != own) return k;  // not a number: nothing to be right about
  i64 better = 0;
  for (i64 i = 0; i < k; ++i) better += logits[i] > own || (logits[i] == own && i < label) ? 1 : 0;
  return better;
}

}  // namespace

const LossKernels loss_kernels = {
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .squared = squared,
    .binary = binary,
    .difference = difference,
    .rank = rank,
};

}  // namespace convoy::cpu::CONVOY_ISA
