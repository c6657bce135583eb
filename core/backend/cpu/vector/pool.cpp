#include "core/backend/cpu/vector/pool.h"

#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

/// The part of a window that lies in the image, and where the window starts.
struct Window {
  i64 start[3], begin[3], end[3];
};

CONVOY_INLINE Window window_at(const PoolGeometry& g, const i64* t) {
  Window w;
  for (int a = 0; a < 3; ++a) {
    w.start[a] = t[a] * g.stride[a] - g.pad_low[a];
    w.begin[a] = larger(w.start[a], 0);
    w.end[a] = smaller(w.start[a] + g.kernel[a], g.in[a]);
  }
  return w;
}

/// Elements before pixel (i, j, 0).
CONVOY_INLINE i64 row_offset(const PoolGeometry& g, i64 i, i64 j) {
  return (i * g.in[1] + j) * g.in[2] * g.channels;
}

/// Position in the window, scan order, of pixel (i, j, begin[2]).
CONVOY_INLINE i64 row_position(const PoolGeometry& g, const Window& w, i64 i, i64 j) {
  return ((i - w.start[0]) * g.kernel[1] + (j - w.start[1])) * g.kernel[2] + w.begin[2] - w.start[2];
}

/// Calls body(window, index of the output pixel) for all output pixels.
template <typename Body>
CONVOY_INLINE void for_windows(const PoolGeometry& g, Body body) {
  i64 pixel = 0;
  i64 t[3];
  for (t[0] = 0; t[0] < g.out[0]; ++t[0])
    for (t[1] = 0; t[1] < g.out[1]; ++t[1])
      for (t[2] = 0; t[2] < g.out[2]; ++t[2]) body(window_at(g, t), pixel++);
}

/// 1 / number of positions that an average divides by.
CONVOY_INLINE float share(const PoolGeometry& g, const Window& w) {
  i64 count = 1;
  for (int a = 0; a < 3; ++a) {
    if (g.count_padding) {
      const i64 last = g.in[a] + g.pad_high[a];
      count *= smaller(w.start[a] + g.kernel[a], last) - w.start[a];
    } else {
      count *= w.end[a] - w.begin[a];
    }
  }
  return 1.0f / static_cast<float>(count);
}

CONVOY_INLINE void store_winner(void* winner, bool wide, i64 at, Vec position, i64 count) {
  if (wide)
    store_i32(static_cast<std::int32_t*>(winner) + at, position, count);
  else
    store_u8(static_cast<std::uint8_t*>(winner) + at, position, count);
}

/// One vector of channels of one window: the first of the largest elements of sign x, and its position.
CONVOY_INLINE void best_in_window(const PoolGeometry& g, const Window& w, Vec sign, const float* x, i64 count,
                                  Vec& best, Vec& position) {
  best = mul(sign, load(x + row_offset(g, w.begin[0], w.begin[1]) + w.begin[2] * g.channels, count));
  position = broadcast(static_cast<float>(row_position(g, w, w.begin[0], w.begin[1])));
  for (i64 i = w.begin[0]; i < w.end[0]; ++i)
    for (i64 j = w.begin[1]; j < w.end[1]; ++j) {
      const float* row = x + row_offset(g, i, j);
      const i64 first = row_position(g, w, i, j) - w.begin[2];
      for (i64 k = w.begin[2]; k < w.end[2]; ++k) {
        const Vec value = mul(sign, load(row + k * g.channels, count));
        const Mask better = greater_or_nan(value, best);
        best = select(better, value, best);
        position = select(better, broadcast(static_cast<float>(first + k)), position);
      }
    }
}

CONVOY_INLINE bool is_square(const PoolGeometry& g, i64 kernel) {
  return g.in[0] == 1 && g.kernel[0] == 1 && g.kernel[1] == kernel && g.kernel[2] == kernel;
}

/// Whether no part of it lies outside the image.
CONVOY_INLINE bool is_whole(const PoolGeometry& g, const Window& w) {
  for (int a = 0; a < 3; ++a)
    if (w.end[a] - w.start[a] != g.kernel[a] || w.begin[a] != w.start[a]) return false;
  return true;
}

/// The same of a whole square window whose first pixel is x; `row`: elements from one row of pixels to the next.
template <int Kernel>
CONVOY_INLINE void best_in_square(i64 row, i64 channels, Vec sign, const float* x, i64 count, Vec& best, Vec& position) {
  best = mul(sign, load(x, count));
  position = zero();
#pragma GCC unroll 9
  for (int k = 1; k < Kernel * Kernel; ++k) {
    const Vec value = mul(sign, load(x + k / Kernel * row + k % Kernel * channels, count));
    const Mask better = greater_or_nan(value, best);
    best = select(better, value, best);
    position = select(better, broadcast(static_cast<float>(k)), position);
  }
}

void extreme(const PoolGeometry& g, float sign, const float* x, float* y, void* winner, bool wide) {
  const Vec signs = broadcast(sign);
  const bool threes = is_square(g, 3);
  for_windows(g, [=, &g](const Window& w, i64 pixel) {
    const bool unrolled = threes && is_whole(g, w);
    const float* first = x + row_offset(g, w.begin[0], w.begin[1]) + w.begin[2] * g.channels;
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c);
      const i64 at = pixel * g.channels + c;
      Vec best, position;
      if (unrolled)
        best_in_square<3>(g.in[2] * g.channels, g.channels, signs, first + c, count, best, position);
      else
        best_in_window(g, w, signs, x + c, count, best, position);
      store(y + at, mul(signs, best), count);
      if (winner != nullptr) store_winner(winner, wide, at, position, count);
    }
  });
}

void average(const PoolGeometry& g, const float* x, float* y) {
  for_windows(g, [=, &g](const Window& w, i64 pixel) {
    const Vec factor = broadcast(share(g, w));
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c);
      // Rows are summed apart, so that large windows (global pooling) do not lose digits.
      Vec total = zero();
      for (i64 i = w.begin[0]; i < w.end[0]; ++i)
        for (i64 j = w.begin[1]; j < w.end[1]; ++j) {
          const float* row = x + row_offset(g, i, j) + c;
          Vec row_total = zero();
          for (i64 k = w.begin[2]; k < w.end[2]; ++k)
            row_total = add(row_total, load(row + k * g.channels, count));
          total = add(total, row_total);
        }
      store(y + pixel * g.channels + c, mul(total, factor), count);
    }
  });
}

/// Windows up to this many positions are compared position by position, a vector of channels at a time.
constexpr i64 kSmallWindow = 16;

CONVOY_INLINE Vec load_winner(const void* winner, bool wide, i64 at, i64 count) {
  return wide ? load_i32(static_cast<const std::int32_t*>(winner) + at, count)
              : load_u8(static_cast<const std::uint8_t*>(winner) + at, count);
}

CONVOY_INLINE void spread_small(const PoolGeometry& g, const Window& w, const float* dy, const void* winner,
                                bool wide, i64 at, i64 count, float* dx) {
  const Vec d = load(dy + at, count);
  const Vec chosen = load_winner(winner, wide, at, count);
  for (i64 i = w.begin[0]; i < w.end[0]; ++i)
    for (i64 j = w.begin[1]; j < w.end[1]; ++j) {
      float* row = dx + row_offset(g, i, j);
      const i64 first = row_position(g, w, i, j) - w.begin[2];
      for (i64 k = w.begin[2]; k < w.end[2]; ++k) {
        float* p = row + k * g.channels;
        const Mask here = equal(chosen, broadcast(static_cast<float>(first + k)));
        store(p, add(load(p, count), select(here, d, zero())), count);
      }
    }
}

/// The same to a whole square window whose first pixel is dx.
template <int Kernel>
CONVOY_INLINE void spread_square(i64 row, i64 channels, const float* dy, const void* winner, bool wide, i64 at, i64 count,
                                 float* dx) {
  const Vec d = load(dy + at, count), chosen = load_winner(winner, wide, at, count);
#pragma GCC unroll 9
  for (int k = 0; k < Kernel * Kernel; ++k) {
    float* p = dx + k / Kernel * row + k % Kernel * channels;
    store(p, add(load(p, count), select(equal(chosen, broadcast(static_cast<float>(k))), d, zero())), count);
  }
}

CONVOY_INLINE void spread_large(const PoolGeometry& g, const Window& w, const float* dy, const void* winner,
                                bool wide, i64 at, i64 count, float* dx) {
  const i64 k1 = g.kernel[1], k2 = g.kernel[2];
  for (i64 c = 0; c < count; ++c) {
    const i64 position = wide ? static_cast<const std::int32_t*>(winner)[at + c]
                              : static_cast<const std::uint8_t*>(winner)[at + c];
    const i64 k = w.start[2] + position % k2;
    const i64 j = w.start[1] + position / k2 % k1;
    const i64 i = w.start[0] + position / k2 / k1;
    dx[row_offset(g, i, j) + k * g.channels + c] += dy[at + c];
  }
}

void extreme_backward(const PoolGeometry& g, const float* dy, const void* winner, bool wide, float* dx) {
  const bool small = g.kernel[0] * g.kernel[1] * g.kernel[2] <= kSmallWindow, threes = is_square(g, 3);
  for_windows(g, [=, &g](const Window& w, i64 pixel) {
    const bool unrolled = threes && is_whole(g, w);
    float* first = dx + row_offset(g, w.begin[0], w.begin[1]) + w.begin[2] * g.channels;
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c);
      const i64 at = pixel * g.channels + c;
      if (unrolled)
        spread_square<3>(g.in[2] * g.channels, g.channels, dy, winner, wide, at, count, first + c);
      else if (small)
        spread_small(g, w, dy, winner, wide, at, count, dx + c);
      else
        spread_large(g, w, dy, winner, wide, at, count, dx + c);
    }
  });
}

void average_backward(const PoolGeometry& g, const float* dy, float* dx) {
  for_windows(g, [=, &g](const Window& w, i64 pixel) {
    const Vec factor = broadcast(share(g, w));
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c);
      const Vec d = mul(factor, load(dy + pixel * g.channels + c, count));
      for (i64 i = w.begin[0]; i < w.end[0]; ++i)
        for (i64 j = w.begin[1]; j < w.end[1]; ++j) {
          float* row = dx + row_offset(g, i, j) + c;
          for (i64 k = w.begin[2]; k < w.end[2]; ++k) {
            float* p = row + k * g.channels;
            store(p, add(load(p, count), d), count);
          }
        }
    }
  });
}

// Square windows of two axes that all lie inside the image: no clipping, unrolled.

bool all_inside(const PoolGeometry& g, i64 kernel) {
  if (!is_square(g, kernel)) return false;
  for (int a = 1; a < 3; ++a)
    if (g.pad_low[a] != 0 || (g.out[a] - 1) * g.stride[a] + kernel > g.in[a]) return false;
  return true;
}

/// Calls body(pointer offset of the window's first pixel, index of the output pixel).
template <typename Body>
CONVOY_INLINE void for_inside(const PoolGeometry& g, Body body) {
  i64 pixel = 0;
  for (i64 i = 0; i < g.out[1]; ++i)
    for (i64 j = 0; j < g.out[2]; ++j)
      body((i * g.stride[1] * g.in[2] + j * g.stride[2]) * g.channels, pixel++);
}

template <int Kernel>
void extreme_inside(const PoolGeometry& g, float sign, const float* x, float* y, void* winner, bool wide) {
  const Vec signs = broadcast(sign);
  const i64 row = g.in[2] * g.channels;
  for_inside(g, [=, &g](i64 from, i64 pixel) {
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c), at = pixel * g.channels + c;
      Vec best, position;
      best_in_square<Kernel>(row, g.channels, signs, x + from + c, count, best, position);
      store(y + at, mul(signs, best), count);
      if (winner != nullptr) store_winner(winner, wide, at, position, count);
    }
  });
}

template <int Kernel>
void average_inside(const PoolGeometry& g, const float* x, float* y) {
  const i64 row = g.in[2] * g.channels;
  const Vec factor = broadcast(1.0f / (Kernel * Kernel));
  for_inside(g, [=, &g](i64 from, i64 pixel) {
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c);
      Vec total = load(x + from + c, count);
#pragma GCC unroll 9
      for (int k = 1; k < Kernel * Kernel; ++k)
        total = add(total, load(x + from + c + k / Kernel * row + k % Kernel * g.channels, count));
      store(y + pixel * g.channels + c, mul(total, factor), count);
    }
  });
}

/// gradient(at, count) gives a function of the position in the window. Windows that do not overlap write,
/// others add.
template <int Kernel, typename Gradient>
CONVOY_INLINE void spread_inside(const PoolGeometry& g, float* dx, Gradient gradient) {
  const i64 row = g.in[2] * g.channels;
  const bool apart = g.stride[1] >= Kernel && g.stride[2] >= Kernel;
  for_inside(g, [=, &g](i64 from, i64 pixel) {
    for (i64 c = 0; c < g.channels; c += kLanes) {
      const i64 count = smaller(kLanes, g.channels - c);
      const auto share_of = gradient(pixel * g.channels + c, count);
#pragma GCC unroll 9
      for (int k = 0; k < Kernel * Kernel; ++k) {
        float* p = dx + from + c + k / Kernel * row + k % Kernel * g.channels;
        store(p, apart ? share_of(k) : add(load(p, count), share_of(k)), count);
      }
    }
  });
}

template <int Kernel>
void extreme_backward_inside(const PoolGeometry& g, const float* dy, const void* winner, bool wide, float* dx) {
  spread_inside<Kernel>(g, dx, [=](i64 at, i64 count) {
    const Vec d = load(dy + at, count), chosen = load_winner(winner, wide, at, count);
    return [=](int k) { return select(equal(chosen, broadcast(static_cast<float>(k))), d, zero()); };
  });
}

template <int Kernel>
void average_backward_inside(const PoolGeometry& g, const float* dy, float* dx) {
  const Vec factor = broadcast(1.0f / (Kernel * Kernel));
  spread_inside<Kernel>(g, dx, [=](i64 at, i64 count) {
    const Vec d = mul(factor, load(dy + at, count));
    return [=](int) { return d; };
  });
}

void any_extreme(const PoolGeometry& g, float sign, const float* x, float* y, void* winner, bool wide) {
  if (all_inside(g, 2)) return extreme_inside<2>(g, sign, x, y, winner, wide);
  if (all_inside(g, 3)) return extreme_inside<3>(g, sign, x, y, winner, wide);
  extreme(g, sign, x, y, winner, wide);
}

void any_average(const PoolGeometry& g, const float* x, float* y) {
  if (all_inside(g, 2)) return average_inside<2>(g, x, y);
  if (all_inside(g, 3)) return average_inside<3>(g, x, y);
  average(g, x, y);
}

void any_extreme_backward(const PoolGeometry& g, const float* dy, const void* winner, bool wide, float* dx) {
  if (all_inside(g, 2)) return extreme_backward_inside<2>(g, dy, winner, wide, dx);
  if (all_inside(g, 3)) return extreme_backward_inside<3>(g, dy, winner, wide, dx);
  extreme_backward(g, dy, winner, wide, dx);
}

void any_average_backward(const PoolGeometry& g, const float* dy, float* dx) {
  if (all_inside(g, 2)) return average_backward_inside<2>(g, dy, dx);
  if (all_inside(g, 3)) return average_backward_inside<3>(g, dy, dx);
  average_backward(g, dy, dx);
}

}  // namespace

const PoolKernels pool_kernels = {
    .extreme = any_extreme,
    .average = any_average,
    .extreme_backward = any_extreme_backward,
    .average_backward = any_average_backward,
};

}  // namespace convoy::cpu::CONVOY_ISA
