#pragma once
// Long loops over slices of gradients and parameters.
#include <cstddef>

namespace convoy {

bool all_finite(const float* values, std::size_t count);

/// sum[i] += more[i]
void accumulate(const float* more, float* sum, std::size_t count);

/// parameters[i] -= rate * gradients[i]
void descend(float rate, const float* gradients, float* parameters, std::size_t count);

/// Delay compensation (Zheng et al. 2017, "Asynchronous stochastic gradient descent with delay compensation", equation 10, with
/// a constant lambda) of a gradient that is a sum over `weight` samples: with its mean g,
/// g += lambda g g (now - pulled), times `weight`.
void compensate(float lambda, float weight, const float* now, const float* pulled, float* gradients, std::size_t count);

}  // namespace convoy
