#pragma once
// Per-element formulas in single precision that every fast backend shares: plain arithmetic, fused
// multiply-adds where written, no math library, so that a compiler vectorises them and a formula gives the same
// bits wherever it runs.
#include <cstdint>

#include "core/tensor/host_device.h"

namespace convoy::math {

CONVOY_HOST_DEVICE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

CONVOY_HOST_DEVICE float from_bits(std::uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
CONVOY_HOST_DEVICE std::uint32_t to_bits(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

CONVOY_HOST_DEVICE float clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/// 2^n for whole n in [-126, 127].
CONVOY_HOST_DEVICE float power_of_two(float n) {
  return from_bits(static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23);
}

/// x = n log 2 + r with |r| <= log(2) / 2. log 2 in two parts (Cody & Waite 1980), so that r is exact to the
/// last bit.
struct Reduced {
  float n, r;
};
CONVOY_HOST_DEVICE Reduced reduce_log2(float x) {
  // Adding and taking off 1.5 2^23 rounds to the nearest whole number.
  const float shifted = x * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  return {n, fused(n, -1.42860677e-6f, fused(n, -0.693145752f, x))};
}

/// exp(r) - 1 for |r| <= log(2) / 2: Taylor's series to r^7; the rest is below 4e-9 r.
CONVOY_HOST_DEVICE float small_expm1(float r) {
  float p = 1.98412698e-4f;
  p = fused(p, r, 1.38888889e-3f);
  p = fused(p, r, 8.33333333e-3f);
  p = fused(p, r, 4.16666667e-2f);
  p = fused(p, r, 0.166666667f);
  p = fused(p, r, 0.5f);
  return fused(p * r, r, r);
}

/// Relative error below 2e-7 in [-87, 88]; clamped there.
CONVOY_HOST_DEVICE float exp(float x) {
  const Reduced reduced = reduce_log2(clamp(x, -87.0f, 88.0f));
  const float scale = power_of_two(reduced.n);
  return fused(scale, small_expm1(reduced.r), scale);
}

/// Relative error below 3e-7: tanh x = (e^2x - 1) / (e^2x + 1) by way of e^2x - 1, which keeps its digits near
/// zero.
CONVOY_HOST_DEVICE float tanh(float x) {
  const float magnitude = from_bits(to_bits(x) & 0x7fffffffu);
  const Reduced reduced = reduce_log2(clamp(magnitude + magnitude, 0.0f, 20.0f));
  const float scale = power_of_two(reduced.n);
  const float e = fused(scale, small_expm1(reduced.r), scale - 1.0f);
  const float t = e / (e + 2.0f);
  return from_bits(to_bits(t) | (to_bits(x) & 0x80000000u));
}

/// Relative error below 3e-7.
CONVOY_HOST_DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

/// 1.7159 tanh(2 x / 3): LeCun et al. 1998, appendix A.
CONVOY_HOST_DEVICE float scaled_tanh(float x) { return 1.7159f * tanh(0.666666667f * x); }

/// Natural logarithm of a normal positive number, absolute error below 1e-7 max(1, |log x|): x = 2^n m with m
/// in [sqrt 1/2, sqrt 2), log m = 2 artanh(s), s = (m - 1) / (m + 1).
CONVOY_HOST_DEVICE float log(float x) {
  const std::uint32_t bits = to_bits(x) - 0x3f3504f3u;
  const float n = static_cast<float>(static_cast<std::int32_t>(bits) >> 23);
  const float m = from_bits((bits & 0x007fffffu) + 0x3f3504f3u);
  const float s = (m - 1.0f) / (m + 1.0f);
  const float s2 = s * s;
  float p = 0.222222222f;
  p = fused(p, s2, 0.285714286f);
  p = fused(p, s2, 0.4f);
  p = fused(p, s2, 0.666666667f);
  const float log_m = fused(p * s2, s, s + s);
  return fused(n, 0.693147182f, fused(n, -1.90465421e-9f, log_m));
}

/// log(1 + u) for u in [0, 1]: 1 + u is rounded, the quotient gives back what the rounding lost.
CONVOY_HOST_DEVICE float log1p(float u) {
  const float w = 1.0f + u;
  return log(w) + (u - (w - 1.0f)) / w;
}

CONVOY_HOST_DEVICE float relu(float x) { return x < 0.0f ? 0.0f : x; }

/// Derivatives in terms of y.
CONVOY_HOST_DEVICE float relu_backward(float y, float dy) { return y > 0.0f ? dy : 0.0f; }
CONVOY_HOST_DEVICE float tanh_backward(float y, float dy) { return dy * fused(-y, y, 1.0f); }
CONVOY_HOST_DEVICE float sigmoid_backward(float y, float dy) { return dy * (y * (1.0f - y)); }
/// d/dx a tanh(b x) = b (a - y^2 / a), a = 1.7159, b = 2 / 3.
CONVOY_HOST_DEVICE float scaled_tanh_backward(float y, float dy) {
  return dy * (0.666666667f * fused(-y * (1.0f / 1.7159f), y, 1.7159f));
}

CONVOY_HOST_DEVICE float leaky_relu(float x, float slope) { return x < 0.0f ? slope * x : x; }
CONVOY_HOST_DEVICE float leaky_relu_backward(float y, float dy, float slope) { return y > 0.0f ? dy : slope * dy; }

/// exp(x) - 1 for x <= 0, relative error below 3e-7.
CONVOY_HOST_DEVICE float expm1(float x) {
  const Reduced reduced = reduce_log2(clamp(x, -87.0f, 0.0f));
  const float scale = power_of_two(reduced.n);
  return fused(scale, small_expm1(reduced.r), scale - 1.0f);
}
CONVOY_HOST_DEVICE float elu(float x, float slope) {
  const float below = slope * expm1(x);
  return x > 0.0f ? x : below;
}
CONVOY_HOST_DEVICE float elu_backward(float y, float dy, float slope) { return y > 0.0f ? dy : dy * (y + slope); }

CONVOY_HOST_DEVICE float negative_part(float x) { return x > 0.0f ? 0.0f : x; }
CONVOY_HOST_DEVICE float negative_part_backward(float y, float dy) { return y < 0.0f ? dy : 0.0f; }

/// s^exponent of a normal positive number; not a number where s is none.
CONVOY_HOST_DEVICE float power(float s, float exponent) { return exp(exponent * log(s)) + (s - s); }

/// The softmax' share of a smoothed target (LossAttributes): for a class, and what the label has more.
struct Smoothed {
  float others, label;
};
CONVOY_HOST_DEVICE Smoothed smoothed(float smoothing, float classes) { return {smoothing / classes, 1.0f - smoothing}; }

/// Binary cross-entropy of logit a and target t: max(a, 0) - a t + log(1 + exp(-|a|)).
CONVOY_HOST_DEVICE float binary_cross_entropy(float a, float t) {
  const float magnitude = from_bits(to_bits(a) & 0x7fffffffu);
  return relu(a) - a * t + log1p(exp(-magnitude));
}

/// Minus the log of the softmax at the label: log(total) - (own - top), total the sum of exp(logit - top). The last term
/// is 0, or not a number where the total is none: log asks for a number.
CONVOY_HOST_DEVICE float cross_entropy(float total, float top, float own) {
  return log(total) + (top - own) + (total - total);
}

/// A stored value as a network reads it; factor = 1 / deviation.
CONVOY_HOST_DEVICE float normalise(float stored, float mean, float factor) { return (stored - mean) * factor; }

/// Dropout of one element by its random word; scale = 1 / (1 - rate).
CONVOY_HOST_DEVICE float keep_above(std::uint32_t word, std::uint32_t threshold, float scale, float x) {
  return word >= threshold ? x * scale : 0.0f;
}

/// The update of a running statistic: keep running + factor sum.
CONVOY_HOST_DEVICE float blend(float keep, float factor, float running, float sum) { return fused(factor, sum, keep * running); }

}  // namespace convoy::math
