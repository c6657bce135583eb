// Updates change the memory of their inputs.
#include "core/backend/reference/kernels.h"
#include "core/optim/scalars.h"

namespace convoy::reference {

/// g = gradient / total weight + decay w;  v = momentum v + g;  w -= rate (v, or with Nesterov g + momentum v)
void sgd_update(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<SgdAttributes>(op);
  double* w = static_cast<double*>(arguments.inputs[0]);
  double* v = static_cast<double*>(arguments.inputs[1]);
  const double *gradient = in(arguments, 2), *scalars = in(arguments, 3);
  const double rate = scalars[kLearningRate] * a.rate_factor;
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i) {
    const double g = gradient[i] / scalars[kTotalWeight] + a.decay * w[i];
    v[i] = a.momentum * v[i] + g;
    w[i] -= rate * (a.nesterov ? g + a.momentum * v[i] : v[i]);
  }
}

/// running = (1 - factor) running + factor sum / micro-batches
void running_update(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<RunningAttributes>(op);
  double* running = static_cast<double*>(arguments.inputs[0]);
  const double* sum = in(arguments, 1);
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i)
    running[i] = (1 - a.factor) * running[i] + a.factor * sum[i] / static_cast<double>(a.micro_batches);
}

}  // namespace convoy::reference
