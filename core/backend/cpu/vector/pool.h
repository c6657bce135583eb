#pragma once
// Pooling of one image, channels-last, three spatial axes (missing ones come first, with extent 1).
#include <cstdint>

namespace convoy::cpu {

struct PoolGeometry {
  std::int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1};
  std::int64_t pad_low[3] = {}, pad_high[3] = {};
  std::int64_t channels = 1;
  bool count_padding = false;
};

struct PoolKernels {
  /// x [in.., c] -> y [out.., c]. `winner` (may be null) is u8 or i32. Minimum: sign = -1.
  void (*extreme)(const PoolGeometry& g, float sign, const float* x, float* y, void* winner, bool wide_winner);
  void (*average)(const PoolGeometry& g, const float* x, float* y);
  /// dx += gradient; the caller clears dx.
  void (*extreme_backward)(const PoolGeometry& g, const float* dy, const void* winner, bool wide_winner,
                           float* dx);
  void (*average_backward)(const PoolGeometry& g, const float* dy, float* dx);
};

namespace avx2 {
extern const PoolKernels pool_kernels;
}
namespace avx512 {
extern const PoolKernels pool_kernels;
}

}  // namespace convoy::cpu
