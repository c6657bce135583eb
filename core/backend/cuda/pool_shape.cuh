#pragma once
// What pooling and its gradient share: where windows lie, and how launches are cut. An item is one position of
// a result with V neighbouring channels.
#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"
#include "core/ops/window.h"

namespace convoy::cuda {

struct PoolShape {
  int in[3], out[3], kernel[3], stride[3], low[3];
  int last[3];  // where an average stops counting: the end of the image, or of its padding
  bool count_padding;
  std::uint32_t channels;
  Divisor packs, in_by[3], out_by[3], stride_by[3];
};

/// Positions of an axis that an average over the window from `start` on counts.
__device__ inline int counted(const PoolShape& s, int a, int start) {
  const int end = min(start + s.kernel[a], s.last[a]);
  return end - (s.count_padding ? start : max(start, 0));
}

/// One pooling, seen from the host.
struct Pooling {
  PoolShape shape;
  std::int64_t samples, in, out, channels;  // positions of x and y
  bool average;
  float sign;  // -1: the minimum
  bool wide;   // winners are i32
};

/// Positions and extents stay far from the ends of 32 bits.
inline bool too_large(const Window& w, std::int64_t channels, std::string* reason) {
  constexpr std::int64_t kMost = std::int64_t{1} << 29;
  for (std::size_t a = 0; a < 3; ++a)
    if (w.input[a] >= kMost || w.kernel[a] >= kMost || w.stride[a] >= kMost) {
      *reason = "extents, windows and strides of " + std::to_string(kMost) + " and more are beyond our kernels";
      return true;
    }
  return too_many(w.input_positions() * channels, reason) ||
         too_many(w.output_positions() * channels, reason) || too_many(w.taps(), reason);
}

inline Pooling pooling_of(const PoolAttributes& pool, const Shape& x, const Window& w) {
  Pooling p{};
  p.samples = x[0];
  p.in = w.input_positions();
  p.out = w.output_positions();
  p.channels = x[-1];
  p.average = pool.kind == PoolKind::average;
  p.sign = pool.kind == PoolKind::min ? -1.0f : 1.0f;
  p.wide = w.taps() > 256;
  p.shape.channels = static_cast<std::uint32_t>(p.channels);
  p.shape.count_padding = pool.count_padding && !pool.global;
  for (std::size_t a = 0; a < 3; ++a) {
    p.shape.in[a] = static_cast<int>(w.input[a]);
    p.shape.out[a] = static_cast<int>(w.output[a]);
    p.shape.kernel[a] = static_cast<int>(w.kernel[a]);
    p.shape.stride[a] = static_cast<int>(w.stride[a]);
    p.shape.low[a] = static_cast<int>(w.pad_low[a]);
    p.shape.last[a] = static_cast<int>(w.input[a] + (p.shape.count_padding ? w.pad_high[a] : 0));
    p.shape.in_by[a] = Divisor(w.input[a]);
    p.shape.out_by[a] = Divisor(w.output[a]);
    p.shape.stride_by[a] = Divisor(w.stride[a]);
  }
  return p;
}

/// Calls body(first sample, items) for launches over results of `positions` a sample.
template <typename Body>
void for_launches(const Pooling& p, std::int64_t positions, int v, Body body) {
  const std::int64_t items = positions * p.channels / v;
  for_samples(p.samples, items, [&](std::int64_t first, std::int64_t count) {
    body(first, static_cast<std::uint32_t>(count * items));
  });
}

}  // namespace convoy::cuda
