#pragma once
// What the updates compute once a tensor, from the step's scalars; every fast backend shares it.
#include "core/ops/elementwise_math.h"
#include "core/optim/scalars.h"

namespace convoy::math {

CONVOY_HOST_DEVICE SgdStep sgd_step(const double* scalars, float decay, float momentum, double rate_factor, bool nesterov) {
  return {static_cast<float>(1 / scalars[kDivisor]), decay, momentum,
          static_cast<float>(scalars[kLearningRate] * rate_factor), nesterov};
}

}  // namespace convoy::math
