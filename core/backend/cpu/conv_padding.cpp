#include "core/backend/cpu/conv_padding.h"

#include <algorithm>

#include "core/backend/cpu/kernel.h"
#include "core/ops/padding_math.h"

namespace convoy::cpu {

CopiedPadding::CopiedPadding(PadMode mode, std::int64_t n, std::int64_t c, std::array<std::int64_t, 3> in,
                             std::array<std::int64_t, 3> low, std::array<std::int64_t, 3> high)
    : n_(n), c_(c), in_(in) {
  for (std::size_t a = 0; a < 3; ++a) {
    padded_[a] = low[a] + in[a] + high[a];
    for (std::int64_t i = 0; i < padded_[a]; ++i)
      source_[a].push_back(padded_source(i - low[a], in[a], mode));
  }
}

std::size_t CopiedPadding::padded_bytes() const {
  return static_cast<std::size_t>(n_ * padded_[0] * padded_[1] * padded_[2] * c_) * sizeof(float);
}

void CopiedPadding::pad(const float* x, float* padded, int threads) const {
  const std::int64_t image = in_[0] * in_[1] * in_[2] * c_,
                     padded_image = padded_[0] * padded_[1] * padded_[2] * c_;
  parallel_for(threads, n_, [&](std::int64_t n) {
    float* to = padded + n * padded_image;
    for (const std::int64_t i : source_[0])
      for (const std::int64_t j : source_[1]) {
        const float* row = x + n * image + (i * in_[1] + j) * in_[2] * c_;
        for (const std::int64_t k : source_[2]) to = std::copy_n(row + k * c_, c_, to);
      }
  });
}

void CopiedPadding::add_back(const float* dpadded, float* dx, int threads) const {
  const std::int64_t image = in_[0] * in_[1] * in_[2] * c_,
                     padded_image = padded_[0] * padded_[1] * padded_[2] * c_;
  parallel_for(threads, n_, [&](std::int64_t n) {
    std::fill_n(dx + n * image, image, 0.0f);
    const float* from = dpadded + n * padded_image;
    for (const std::int64_t i : source_[0])
      for (const std::int64_t j : source_[1]) {
        float* row = dx + n * image + (i * in_[1] + j) * in_[2] * c_;
        for (const std::int64_t k : source_[2])
          for (std::int64_t c = 0; c < c_; ++c) row[k * c_ + c] += *from++;
      }
  });
}

}  // namespace convoy::cpu
