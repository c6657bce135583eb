#include "core/backend/cpu/vector/dense.h"

#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

// Units and samples whose products are summed together: 24 sums in registers with AVX-512, 8 with AVX2.
constexpr int kUnits = kLanes == 16 ? 4 : 2, kSamples = kLanes == 16 ? 6 : 4;
constexpr i64 kDepth = 2048;  // features of a pass: the weights' part stays in the first cache while all samples meet it

/// y [Samples, Units] += the products of `depth` features; rows of x and weights are f apart, of y o.
template <int Samples, int Units>
CONVOY_INLINE void add_products(const float* x, const float* weights, i64 f, i64 depth, float* y, i64 o) {
  Vec total[Samples][Units];
#pragma GCC unroll 8
  for (int s = 0; s < Samples; ++s)
#pragma GCC unroll 8
    for (int u = 0; u < Units; ++u) total[s][u] = zero();
  for (i64 k = 0; k < depth; k += kLanes) {
    const i64 count = smaller(kLanes, depth - k);
    Vec row[Units];
#pragma GCC unroll 8
    for (int u = 0; u < Units; ++u) row[u] = count == kLanes ? load(weights + u * f + k) : load(weights + u * f + k, count);
#pragma GCC unroll 8
    for (int s = 0; s < Samples; ++s) {
      const Vec sample = count == kLanes ? load(x + s * f + k) : load(x + s * f + k, count);
#pragma GCC unroll 8
      for (int u = 0; u < Units; ++u) total[s][u] = fma(sample, row[u], total[s][u]);
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < Samples; ++s)
#pragma GCC unroll 8
    for (int u = 0; u < Units; ++u) y[s * o + u] += sum(total[s][u]);
}

template <int Units>
CONVOY_INLINE void add_samples(const float* x, const float* weights, i64 n, i64 f, i64 depth, float* y, i64 o) {
  i64 s = 0;
  for (; s + kSamples <= n; s += kSamples) add_products<kSamples, Units>(x + s * f, weights, f, depth, y + s * o, o);
  for (; s < n; ++s) add_products<1, Units>(x + s * f, weights, f, depth, y + s * o, o);
}

void forward(const float* x, const float* weights, const float* bias, bool relu, float* y, i64 n, i64 f, i64 o, i64 first,
             i64 last) {
  for (i64 s = 0; s < n; ++s)
    for (i64 u = first; u < last; ++u) y[s * o + u] = bias != nullptr ? bias[u] : 0.0f;
  for (i64 k = 0; k < f; k += kDepth) {
    const i64 depth = smaller(kDepth, f - k);
    i64 u = first;
    for (; u + kUnits <= last; u += kUnits) add_samples<kUnits>(x + k, weights + u * f + k, n, f, depth, y + u, o);
    for (; u < last; ++u) add_samples<1>(x + k, weights + u * f + k, n, f, depth, y + u, o);
  }
  if (!relu) return;
  for (i64 s = 0; s < n; ++s)
    for (i64 u = first; u < last; ++u) y[s * o + u] = y[s * o + u] < 0.0f ? 0.0f : y[s * o + u];
}

}  // namespace

const DenseKernels dense_kernels = {.forward = forward};

}  // namespace convoy::cpu::CONVOY_ISA
