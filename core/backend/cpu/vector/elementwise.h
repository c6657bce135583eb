#pragma once
// Element-by-element kernels over flat arrays of n floats.
#include <cstdint>

#include "core/ops/elementwise_math.h"

namespace convoy::cpu {

struct ElementwiseKernels {
  using Unary = void (*)(const float* x, float* y, std::int64_t n);
  using Binary = void (*)(const float* a, const float* b, float* y, std::int64_t n);

  // By ActivationKind: none, relu, tanh, sigmoid, scaled_tanh.
  Unary activation[5];
  Binary activation_backward[5];  // y, dy -> dx
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
