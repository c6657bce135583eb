#pragma once
// Element-by-element kernels over flat arrays of n floats.
#include <cstdint>

#include "core/ops/elementwise_math.h"

namespace convoy::cpu {

struct ElementwiseKernels {
  using Activation = void (*)(const float* x, float slope, float* y, std::int64_t n);
  using ActivationBackward = void (*)(const float* y, const float* dy, float slope, float* dx, std::int64_t n);
  using Binary = void (*)(const float* a, const float* b, float* y, std::int64_t n);

  // By ActivationKind.
  static constexpr int kActivations = 10;
  Activation activation[kActivations];
  ActivationBackward activation_backward[kActivations];
  Binary add, multiply;
  /// running = keep running + factor statistic.
  void (*blend)(float keep, float factor, float* running, const float* statistic, std::int64_t n);
  /// y = x scale where words[i] >= threshold, else 0.
  void (*keep_above)(const std::uint32_t* words, std::uint32_t threshold, float scale, const float* x, float* y,
                     std::int64_t n);
};

namespace avx2 {
extern const ElementwiseKernels elementwise_kernels;
}
namespace avx512 {
extern const ElementwiseKernels elementwise_kernels;
}

}  // namespace convoy::cpu
