#pragma once
// Kernels that treat channels apart, over flat arrays with a period: element i belongs to column i % period,
// and a column to channel (column % channels). The period is a multiple of the number of channels, wide enough
// for vectors (wide_period), so that 1, 6 or 16 channels run as well as 64. A range starts at a multiple of the
// period and may end within one.
#include <cstdint>

#include "core/tensor/narrow.h"

namespace convoy::cpu {

/// Of arrays of T, float or Bf16; what is per column is in floats, and so is all arithmetic.
template <typename T>
struct NormKernels {
  /// y = (x - mean) scale + shift [+ residual, which may be null]; with `relu` of that.
  void (*normalise)(const T* x, const float* mean, const float* scale, const float* shift, const T* residual, bool relu, T* y,
                    std::int64_t n, std::int64_t period);
  /// Per column: the sum, the mean, and the sum of squared differences from that mean, all within this range.
  void (*moments)(const T* x, float* sums, float* squares, float* means, std::int64_t n, std::int64_t period);
  /// Per column, d = dy, or dy where y > 0 if y is given: sums of d and of d (x - mean). With y also writes d to `masked`,
  /// unless that is null.
  void (*normalise_sums)(const T* x, const float* mean, const T* dy, const T* y, T* masked, float* sums, float* products,
                         std::int64_t n, std::int64_t period);
  /// dx = a d + b (x - mean) + c.
  void (*normalise_backward)(const T* x, const float* mean, const T* dy, const T* y, const float* a, const float* b,
                             const float* c, T* dx, std::int64_t n, std::int64_t period);
};

struct ChannelKernels {
  /// y = x + b, y = x g.
  void (*add)(const float* x, const float* b, float* y, std::int64_t n, std::int64_t period);
  void (*multiply)(const float* x, const float* g, float* y, std::int64_t n, std::int64_t period);
  /// Column sums of x, and of x y.
  void (*sum)(const float* x, float* sums, std::int64_t n, std::int64_t period);
  void (*sum_bf16)(const Bf16* x, float* sums, std::int64_t n, std::int64_t period);
  void (*dot)(const float* x, const float* y, float* sums, std::int64_t n, std::int64_t period);
  NormKernels<float> norm;
  NormKernels<Bf16> norm_bf16;
};

namespace avx2 {
extern const ChannelKernels channel_kernels;
}
namespace avx512 {
extern const ChannelKernels channel_kernels;
}

}  // namespace convoy::cpu
