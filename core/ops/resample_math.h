#pragma once
// Which pixels a position of a resampled axis reads (ResampleAttributes), for hosts and devices alike.
#include <cstdint>

#include "core/ops/elementwise_math.h"

namespace convoy::math {

/// One axis: `in` positions read, `out` made; below 2^31.
struct ResampledAxis {
  std::int64_t in = 1, out = 1;
  bool linear = false;
};

/// `low` with weight 1 - high_weight, `high` with high_weight.
struct Reading {
  std::int64_t low, high;
  float high_weight;
};
CONVOY_HOST_DEVICE Reading reading_of(const ResampledAxis& axis, std::int64_t o) {
  if (!axis.linear) return {o * axis.in / axis.out, o * axis.in / axis.out, 0.0f};
  // (o + 1/2) in / out - 1/2 as a fraction of 2 out, exact but for the last division.
  const std::int64_t numerator = (2 * o + 1) * axis.in - axis.out, denominator = 2 * axis.out;
  if (numerator <= 0) return {0, 0, 0.0f};
  const std::int64_t low = numerator / denominator;
  if (low >= axis.in - 1) return {axis.in - 1, axis.in - 1, 0.0f};
  return {low, low + 1, static_cast<float>(numerator - low * denominator) / static_cast<float>(denominator)};
}

/// How much of pixel i is in a reading.
CONVOY_HOST_DEVICE float share_of(const Reading& reading, std::int64_t i) {
  return i == reading.low ? 1.0f - reading.high_weight : i == reading.high ? reading.high_weight : 0.0f;
}

/// Positions [begin, end) among which are all that read pixel i.
struct Readers {
  std::int64_t begin, end;
};
CONVOY_HOST_DEVICE Readers readers_of(const ResampledAxis& axis, std::int64_t i) {
  const std::int64_t first = (2 * i - 1) * axis.out / (2 * axis.in) - 2, last = (2 * i + 3) * axis.out / (2 * axis.in) + 2;
  return {first > 0 ? first : 0, last + 1 < axis.out ? last + 1 : axis.out};
}

}  // namespace convoy::math
