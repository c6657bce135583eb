#pragma once
// The loops that convolution and pooling share.
#include "core/ops/window.h"

namespace convoy::reference {

/// Calls visit(t, k, p) for every output position t and every tap k of its window that shows a pixel: p is that
/// pixel. Taps on zero padding are left out. Positions are counted in scan order: t in [0, output_positions),
/// and so on.
template <typename Visit>
void for_each_tap(const Window& w, Visit visit) {
  const auto pixel = [&w](std::size_t axis, std::int64_t t, std::int64_t k) {
    return source_index(t * w.stride[axis] + k * w.dilation[axis] - w.pad_low[axis], w.input[axis], w.pad_mode);
  };
  std::int64_t t = 0;
  for (std::int64_t t0 = 0; t0 < w.output[0]; ++t0)
    for (std::int64_t t1 = 0; t1 < w.output[1]; ++t1)
      for (std::int64_t t2 = 0; t2 < w.output[2]; ++t2, ++t) {
        std::int64_t k = 0;
        for (std::int64_t k0 = 0; k0 < w.kernel[0]; ++k0)
          for (std::int64_t k1 = 0; k1 < w.kernel[1]; ++k1)
            for (std::int64_t k2 = 0; k2 < w.kernel[2]; ++k2, ++k) {
              const std::int64_t p0 = pixel(0, t0, k0), p1 = pixel(1, t1, k1), p2 = pixel(2, t2, k2);
              if (p0 >= 0 && p1 >= 0 && p2 >= 0) visit(t, k, (p0 * w.input[1] + p1) * w.input[2] + p2);
            }
      }
}

}  // namespace convoy::reference
