// Updates change the memory of their inputs.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/backend/reference/kernels.h"
#include "core/metrics/tree_sum.h"
#include "core/ops/guard_math.h"
#include "core/ops/update_operands.h"
#include "core/optim/scalars.h"

namespace convoy::reference {

/// See GuardAttributes.
void step_guard(const OpDesc& op, const KernelArguments& arguments) {
  bool finite = true;
  for (std::size_t i = 2; i < op.inputs.size(); ++i) {
    const double* bucket = in(arguments, i);
    finite = finite && std::all_of(bucket, bucket + op.inputs[i].shape.elements(), [](double x) { return std::isfinite(x); });
  }
  const auto& a = attributes<GuardAttributes>(op);
  math::guard({a.scaling, a.most, static_cast<double>(a.growth_every), a.halts}, *in(arguments, 0), finite,
              static_cast<double*>(arguments.inputs[1]));
}

/// See ClipAttributes. Norms: sums of squares by blocks, then the fixed tree.
void squared_norms(const OpDesc& op, const KernelArguments& arguments) {
  constexpr std::int64_t kBlock = 1024;
  double* norms = out(arguments, 0);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const double* x = in(arguments, i);
    const std::int64_t n = op.inputs[i].shape.elements();
    std::vector<double> blocks;
    for (std::int64_t begin = 0; begin < n; begin += kBlock)
      blocks.push_back(std::inner_product(x + begin, x + std::min(begin + kBlock, n), x + begin, 0.0));
    norms[i] = tree_sum(blocks);
  }
}

void clip_norm(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<ClipAttributes>(op);
  const double* norms = in(arguments, 0);
  double* scalars = static_cast<double*>(arguments.inputs[1]);
  const double norm = std::sqrt(std::accumulate(norms, norms + a.tensors, 0.0)) / scalars[kDivisor];
  if (norm > a.limit) scalars[kDivisor] *= norm / a.limit;
}

namespace {

double trust_ratio(const UpdateAttributes& a, double divisor, const double* norms) {
  const double weight = std::sqrt(norms[a.weight_norm]), gradient = std::sqrt(norms[a.gradient_norm]) / divisor;
  return weight > 0 && gradient > 0 ? a.trust * weight / (gradient + a.decay * weight) : 1;
}

/// One element: w and its slots.
void update_element(const UpdateAttributes& a, double rate, double trust, double t, double g, double& w, double& first,
                    double* second) {
  switch (a.rule) {
    case Optimizer::sgd:
      first = a.momentum * first + g;
      w -= rate * (a.nesterov ? g + a.momentum * first : first);
      break;
    case Optimizer::lars:
      first = a.momentum * first + rate * trust * g;
      w -= first;
      break;
    case Optimizer::rmsprop:
      first = a.rho * first + (1 - a.rho) * g * g;
      *second = a.momentum * *second + rate * g / std::sqrt(first + a.epsilon);
      w -= *second;
      break;
    case Optimizer::adagrad:
      first += g * g;
      w -= rate * g / (std::sqrt(first) + a.epsilon);
      break;
    case Optimizer::adam: {
      first = a.beta1 * first + (1 - a.beta1) * g;
      *second = a.beta2 * *second + (1 - a.beta2) * g * g;
      const double mean = first / (1 - std::pow(a.beta1, t)), square = *second / (1 - std::pow(a.beta2, t));
      if (a.decoupled) w -= rate * a.decay * w;
      w -= rate * mean / (std::sqrt(square) + a.epsilon);
      break;
    }
  }
}

}  // namespace

/// See UpdateAttributes.
void weight_update(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<UpdateAttributes>(op);
  const UpdateOperands at = operands_of(a);
  const auto changed = [&](int i) { return static_cast<double*>(arguments.inputs[static_cast<std::size_t>(i)]); };
  const double *gradient = changed(at.gradient), *scalars = changed(at.scalars);
  if (scalars[kApply] == 0) return;
  double *w = changed(0), *first = changed(1), *second = slots_of(a.rule) > 1 ? changed(2) : nullptr;
  double* copy = at.has_copy(arguments.inputs.size()) ? changed(at.copy) : nullptr;
  const double trust = takes_norms(a) ? trust_ratio(a, scalars[kDivisor], changed(at.norms)) : 1;
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i) {
    double g = gradient[i] / scalars[kDivisor];
    if (a.clip_value > 0) g = std::clamp(g, -a.clip_value, a.clip_value);
    if (!a.decoupled) g += a.decay * w[i];
    update_element(a, scalars[kLearningRate] * a.rate_factor, trust, scalars[kUpdates], g, w[i], first[i],
                   second ? second + i : nullptr);
    if (copy) copy[i] = w[i];
  }
}

/// See AverageAttributes.
void average_update(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<AverageAttributes>(op);
  double* average = static_cast<double*>(arguments.inputs[0]);
  const double *value = in(arguments, 1), *scalars = in(arguments, 2);
  if (scalars[kApply] == 0) return;
  const double t = scalars[kUpdates], counted = t - static_cast<double>(a.from);
  const double share = a.decay > 0 ? 1 - std::min(a.decay, (1 + t) / (10 + t)) : counted > 1 ? 1 / counted : 1;
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i) average[i] = (1 - share) * average[i] + share * value[i];
}

/// running = (1 - factor) running + factor sum / micro-batches
void running_update(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<RunningAttributes>(op);
  double* running = static_cast<double*>(arguments.inputs[0]);
  const double* sum = in(arguments, 1);
  if (in(arguments, 2)[kApply] == 0) return;
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i)
    running[i] = (1 - a.factor) * running[i] + a.factor * sum[i] / static_cast<double>(a.micro_batches);
}

}  // namespace convoy::reference
