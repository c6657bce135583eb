#pragma once
// Padding by copies (reflect, symmetric, replicate): the convolution then runs without padding.
#include <array>
#include <vector>

#include "core/ops/attributes.h"

namespace convoy::cpu {

class CopiedPadding {
 public:
  /// x [n, in.., c] with `low` and `high` positions more on each of the three axes (missing axes: extent 1).
  CopiedPadding(PadMode mode, std::int64_t n, std::int64_t c, std::array<std::int64_t, 3> in,
                std::array<std::int64_t, 3> low, std::array<std::int64_t, 3> high);

  const std::array<std::int64_t, 3>& padded() const { return padded_; }
  std::size_t padded_bytes() const;
  void pad(const float* x, float* padded, int threads) const;
  /// The gradient of pad: dx = sum over the padded positions that copy an element.
  void add_back(const float* dpadded, float* dx, int threads) const;

 private:
  std::int64_t n_, c_;
  std::array<std::int64_t, 3> in_, padded_;
  std::array<std::vector<std::int64_t>, 3> source_;  // per axis: where a padded position is copied from
};

}  // namespace convoy::cpu
