#pragma once
// Batch normalisation (Ioffe & Szegedy 2015, algorithm 1): what is computed once a channel, in double, and the two formulas
// per element, which all fast backends share.
#include "core/ops/elementwise_math.h"

namespace convoy::math {

/// What a channel's moments give: the op's outputs and the factor of its elements.
struct BatchNorm {
  float mean, inverse_deviation, variance, scale;
};
/// `squares`: sum of (x - mean)^2 over `count` elements.
CONVOY_HOST_DEVICE BatchNorm batch_norm(double mean, double squares, double count, double epsilon, float gamma) {
  const double inverse = 1 / __builtin_sqrt(squares / count + epsilon);
  return {static_cast<float>(mean), static_cast<float>(inverse), static_cast<float>(squares / (count > 1 ? count - 1 : 1)),
          static_cast<float>(inverse * static_cast<double>(gamma))};
}
/// Over the whole batch of `parts` micro-batches, `count` elements in all: from the sums of batch_norm_moments around `k`.
CONVOY_HOST_DEVICE BatchNorm global_batch_norm(double k, double first, double second, double parts, double count,
                                               double epsilon, float gamma) {
  const double distance = first / parts, biased = second / parts - distance * distance;
  return batch_norm(k + distance, (biased > 0 || biased != biased ? biased : 0) * count, count, epsilon, gamma);
}
/// The factor of a channel's elements under given statistics.
CONVOY_HOST_DEVICE float batch_norm_scale(float gamma, float variance, double epsilon) {
  return static_cast<float>(static_cast<double>(gamma) / __builtin_sqrt(static_cast<double>(variance) + epsilon));
}
/// shift: beta.
CONVOY_HOST_DEVICE float normalise(float x, float mean, float scale, float shift) { return fused(x - mean, scale, shift); }

/// With d = dy (masked by the fused ReLU), z = (x - mean) / deviation: dgamma = sum d z, dbeta = sum d,
/// dx = gamma / deviation (d - dbeta / m - z dgamma / m) = a d + b (x - mean) + c.
struct BatchNormGradient {
  float dgamma, dbeta, a, b, c;
};
/// `sum`: of d; `centred`: of d (x - mean), over `count` elements.
CONVOY_HOST_DEVICE BatchNormGradient batch_norm_gradient(double sum, double centred, double count, float inverse_deviation,
                                                         float gamma) {
  const double r = static_cast<double>(inverse_deviation), scale = r * static_cast<double>(gamma);
  return {static_cast<float>(centred * r), static_cast<float>(sum), static_cast<float>(scale),
          static_cast<float>(-scale * r * r * centred / count), static_cast<float>(-scale * sum / count)};
}
/// The same from dgamma and dbeta themselves, over the whole batch of `count` elements.
CONVOY_HOST_DEVICE BatchNormGradient global_batch_norm_gradient(float dgamma, float dbeta, double count, float inverse_deviation,
                                                                float gamma) {
  const double r = static_cast<double>(inverse_deviation), scale = r * static_cast<double>(gamma);
  return {dgamma, dbeta, static_cast<float>(scale), static_cast<float>(-scale * r * static_cast<double>(dgamma) / count),
          static_cast<float>(-scale * static_cast<double>(dbeta) / count)};
}
CONVOY_HOST_DEVICE float normalise_backward(float d, float centred, float a, float b, float c) {
  return fused(a, d, fused(b, centred, c));
}

}  // namespace convoy::math
