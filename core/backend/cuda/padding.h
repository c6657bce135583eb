#pragma once
// Padding by copies (reflect, symmetric, replicate): a convolution then runs without padding on the padded
// image.
#include <cuda_runtime.h>

#include <string>

#include "core/ops/attributes.h"

namespace convoy::cuda {

class CopiedPadding {
 public:
  /// x [n, in.., c] with `low` and `high` positions more on each of the three axes (missing axes: extent 1).
  CopiedPadding(PadMode mode, std::int64_t n, std::int64_t c, PerAxis in, PerAxis low, PerAxis high);

  /// Whether a sample is too large for our kernels; *reason then says so.
  bool declines(std::string* reason) const;
  /// Extents of a padded image.
  const PerAxis& padded() const { return padded_; }
  std::size_t padded_bytes(DType type) const;
  /// padded [n, padded.., c] from x, both of `type` (f32, bf16, f16).
  void pad(DType type, const void* x, void* padded, cudaStream_t stream) const;
  /// The gradient of pad: dx = sum over the padded positions that copy an element, in scan order, in f32 and
  /// rounded once. dpadded is of `from`: `to`, or f32.
  void add_back(DType from, DType to, const void* dpadded, void* dx, cudaStream_t stream) const;

 private:
  PadMode mode_;
  std::int64_t n_, c_;
  PerAxis in_, low_, padded_;
};

}  // namespace convoy::cuda
