#pragma once
// The rules of the op step_guard (GuardAttributes), which every backend shares.
#include "core/ops/elementwise_math.h"
#include "core/optim/scalars.h"

namespace convoy::math {

struct GuardRules {
  bool scaling;
  double most, growth_every;
  bool halts;
};

/// The loss scale of the next step, in both of its places.
CONVOY_HOST_DEVICE void set_loss_scale(double scale, double* scalars) {
  const auto narrow = static_cast<float>(scale);  // a power of two: exact
  scalars[kLossScale] = scale;
  __builtin_memcpy(&scalars[kLossScaleFloat], &narrow, sizeof narrow);
}

/// `weight`: of the step; `finite`: whether all that was reduced is. Sets and keeps scalars [kStepScalars].
CONVOY_HOST_DEVICE void guard(const GuardRules& rules, double weight, bool finite, double* scalars) {
  const double scale = scalars[kLossScale];
  const bool wanted = scalars[kWanted] != 0, halted = scalars[kHalted] != 0;
  scalars[kDivisor] = weight * scale;
  scalars[kFinite] = finite ? 1 : 0;
  scalars[kApply] = finite && wanted && !halted ? 1 : 0;
  if (!wanted || halted) return;
  if (finite) scalars[kUpdates] += 1;
  if (!finite) {
    if (rules.halts && (!rules.scaling || scale <= 1)) scalars[kHalted] = 1;
    if (rules.scaling) set_loss_scale(scale > 2 ? scale / 2 : 1, scalars);
    scalars[kGoodSteps] = 0;
    return;
  }
  if (!rules.scaling) return;
  scalars[kGoodSteps] += 1;
  if (scalars[kGoodSteps] < rules.growth_every) return;
  scalars[kGoodSteps] = 0;
  set_loss_scale(2 * scale > rules.most ? rules.most : 2 * scale, scalars);
}

}  // namespace convoy::math
