#pragma once
// Kernels of the update program over flat arrays of n floats.
#include <cstdint>

#include "core/ops/update_math.h"

namespace convoy::cpu {

struct UpdateKernels {
  /// w and its slots change; rules of one slot have no second.
  using Rule = void (*)(const math::UpdateStep& step, float* w, float* first, float* second, const float* gradient,
                        std::int64_t n);
  Rule sgd, rmsprop, adam, adagrad;
  /// The sum of the squares of at most kNormBlock elements (math, update_math.h).
  double (*block_norm)(const float* x, std::int64_t n);
};

namespace avx2 {
extern const UpdateKernels update_kernels;
}
namespace avx512 {
extern const UpdateKernels update_kernels;
}

}  // namespace convoy::cpu
