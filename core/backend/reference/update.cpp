// Updates change the memory of their inputs.
#include <algorithm>
#include <cmath>

#include "core/backend/reference/kernels.h"
#include "core/ops/guard_math.h"
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

/// g = gradient / divisor + decay w;  v = momentum v + g;  w -= rate (v, or with Nesterov g + momentum v)
void sgd_update(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<SgdAttributes>(op);
  double* w = static_cast<double*>(arguments.inputs[0]);
  double* v = static_cast<double*>(arguments.inputs[1]);
  const double *gradient = in(arguments, 2), *scalars = in(arguments, 3);
  if (scalars[kApply] == 0) return;
  double* copy = arguments.inputs.size() == 5 ? static_cast<double*>(arguments.inputs[4]) : nullptr;
  const double rate = scalars[kLearningRate] * a.rate_factor;
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i) {
    const double g = gradient[i] / scalars[kDivisor] + a.decay * w[i];
    v[i] = a.momentum * v[i] + g;
    w[i] -= rate * (a.nesterov ? g + a.momentum * v[i] : v[i]);
    if (copy) copy[i] = w[i];
  }
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
