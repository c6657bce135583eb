#pragma once
// The updates of UpdateAttributes, and norms, as every fast backend computes them: what an op is bound to (UpdateRule), what
// follows from it and the step's scalars once a tensor (UpdateStep), and the formulas for one element.
#include "core/ops/attributes.h"
#include "core/ops/elementwise_math.h"
#include "core/optim/scalars.h"

namespace convoy::math {

/// UpdateAttributes as kernels take them.
struct UpdateRule {
  double rate_factor, decay, beta1, beta2, rho, trust;
  float momentum, epsilon, limit;
  int gradient_norm, weight_norm;
  Optimizer rule;
  bool nesterov, decoupled;
};

inline UpdateRule rule_of(const UpdateAttributes& a) {
  return {a.rate_factor, a.decay, a.beta1, a.beta2, a.rho, a.trust, static_cast<float>(a.momentum),
          static_cast<float>(a.epsilon), a.clip_value > 0 ? static_cast<float>(a.clip_value) : __builtin_inff(),
          a.gradient_norm, a.weight_norm, a.rule, a.nesterov, a.decoupled};
}

struct UpdateStep {
  float inverse_weight, limit;     // of the gradient
  float decay, shrink;             // coupled; decoupled, times the rate
  float momentum, gain, rate;      // gain: of a gradient that joins the momentum
  float keep1, fresh1, keep2, fresh2, epsilon, inverse_root;
  bool nesterov;
};

/// base^n for whole n >= 0, by squaring: the same bits on hosts and devices.
CONVOY_HOST_DEVICE double whole_power(double base, double n) {
  double power = 1;
  for (auto rest = static_cast<unsigned long long>(n); rest > 0; rest /= 2) {
    if (rest % 2) power *= base;
    base *= base;
  }
  return power;
}

/// q of lars.
CONVOY_HOST_DEVICE double trust_ratio(const UpdateRule& rule, const double* scalars, const double* norms) {
  if (rule.rule != Optimizer::lars || rule.gradient_norm < 0) return 1;
  const double gradient = __builtin_sqrt(norms[rule.gradient_norm]) / scalars[kDivisor];
  const double weight = __builtin_sqrt(norms[rule.weight_norm]);
  return gradient > 0 && weight > 0 ? rule.trust * weight / (gradient + rule.decay * weight) : 1;
}

/// `norms` is read by lars alone.
CONVOY_HOST_DEVICE UpdateStep update_step(const UpdateRule& rule, const double* scalars, const double* norms) {
  const double rate = scalars[kLearningRate] * rule.rate_factor;
  UpdateStep step{};
  step.inverse_weight = static_cast<float>(1 / scalars[kDivisor]);
  step.limit = rule.limit;
  step.decay = rule.decoupled ? 0.0f : static_cast<float>(rule.decay);
  step.shrink = rule.decoupled ? static_cast<float>(rate * rule.decay) : 0.0f;
  step.momentum = rule.momentum;
  step.gain = 1;
  step.rate = static_cast<float>(rate);
  step.epsilon = rule.epsilon;
  step.nesterov = rule.nesterov;
  if (rule.rule == Optimizer::lars) {
    step.gain = static_cast<float>(rate * trust_ratio(rule, scalars, norms));
    step.rate = 1;
  } else if (rule.rule == Optimizer::rmsprop) {
    step.keep2 = static_cast<float>(rule.rho);
    step.fresh2 = static_cast<float>(1 - rule.rho);
  } else if (rule.rule == Optimizer::adam) {
    step.keep1 = static_cast<float>(rule.beta1);
    step.fresh1 = static_cast<float>(1 - rule.beta1);
    step.keep2 = static_cast<float>(rule.beta2);
    step.fresh2 = static_cast<float>(1 - rule.beta2);
    step.rate = static_cast<float>(rate / (1 - whole_power(rule.beta1, scalars[kUpdates])));
    step.inverse_root = static_cast<float>(1 / __builtin_sqrt(1 - whole_power(rule.beta2, scalars[kUpdates])));
  }
  return step;
}

/// g of UpdateAttributes.
CONVOY_HOST_DEVICE float decayed_gradient(const UpdateStep& step, float w, float gradient) {
  return fused(step.decay, w, clamp(gradient * step.inverse_weight, -step.limit, step.limit));
}

// Each changes the slots and returns the new w.

/// sgd, and lars by its gain.
CONVOY_HOST_DEVICE float sgd(const UpdateStep& step, float w, float& v, float gradient) {
  const float g = step.gain * decayed_gradient(step, w, gradient);
  v = fused(step.momentum, v, g);
  return fused(-step.rate, step.nesterov ? fused(step.momentum, v, g) : v, w);
}

CONVOY_HOST_DEVICE float rmsprop(const UpdateStep& step, float w, float& s, float& v, float gradient) {
  const float g = decayed_gradient(step, w, gradient);
  s = fused(step.keep2, s, step.fresh2 * (g * g));
  v = fused(step.momentum, v, step.rate * g / __builtin_sqrtf(s + step.epsilon));
  return w - v;
}

CONVOY_HOST_DEVICE float adam(const UpdateStep& step, float w, float& m, float& s, float gradient) {
  const float g = decayed_gradient(step, w, gradient);
  m = fused(step.keep1, m, step.fresh1 * g);
  s = fused(step.keep2, s, step.fresh2 * (g * g));
  const float direction = m / fused(__builtin_sqrtf(s), step.inverse_root, step.epsilon);
  return fused(-step.rate, direction, fused(-step.shrink, w, w));
}

CONVOY_HOST_DEVICE float adagrad(const UpdateStep& step, float w, float& s, float gradient) {
  const float g = decayed_gradient(step, w, gradient);
  s = fused(g, g, s);
  return w - step.rate * g / (__builtin_sqrtf(s) + step.epsilon);
}

// Norms: element i of a block goes to the lane i % kNormLanes, and each lane is summed in double, where the square of a float
// is exact; so every backend gets the same bits.

inline constexpr int kNormBlock = 1024, kNormLanes = 16;

/// The sum of terms [0, n) through the fixed tree, left in terms[0]: neighbours are added, then neighbouring pairs, and so on;
/// who has no neighbour waits.
CONVOY_HOST_DEVICE double fold_tree(double* terms, long long n) {
  for (long long stride = 1; stride < n; stride *= 2)
    for (long long i = 0; i + stride < n; i += 2 * stride) terms[i] += terms[i + stride];
  return n > 0 ? terms[0] : 0;
}

/// clip_norm.
CONVOY_HOST_DEVICE void clip(double limit, long long tensors, const double* norms, double* scalars) {
  double squares = 0;
  for (long long i = 0; i < tensors; ++i) squares += norms[i];
  const double norm = __builtin_sqrt(squares) / scalars[kDivisor];
  if (norm > limit) scalars[kDivisor] *= norm / limit;
}

/// AverageAttributes: the share of the newest value.
CONVOY_HOST_DEVICE double average_share(double decay, double from, const double* scalars) {
  const double t = scalars[kUpdates];
  if (decay <= 0) return t - from > 1 ? 1 / (t - from) : 1;
  const double early = (1 + t) / (10 + t);
  return 1 - (early < decay ? early : decay);
}

}  // namespace convoy::math
