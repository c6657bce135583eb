#pragma once
// Dense layers of few samples: rows of weights times rows of samples, each read once from where it lies, where a general
// matrix product would first copy all weights.
#include <cstdint>

namespace convoy::cpu {

/// Outputs that a call takes: y and weights of so many units.
inline constexpr std::int64_t kDenseUnits = 16;

struct DenseKernels {
  /// y [n, o] = x [n, f] weights [o, f] + bias (may be null), ReLU of that if `relu`: the columns [first, last) of y. Sums of
  /// 2048 products, in lanes, are added in order.
  void (*forward)(const float* x, const float* weights, const float* bias, bool relu, float* y, std::int64_t n, std::int64_t f,
                  std::int64_t o, std::int64_t first, std::int64_t last);
};

namespace avx2 {
extern const DenseKernels dense_kernels;
}
namespace avx512 {
extern const DenseKernels dense_kernels;
}

}  // namespace convoy::cpu
