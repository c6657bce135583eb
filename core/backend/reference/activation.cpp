#include <cmath>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

// LeCun et al. 1998, appendix A: A = 1.7159 and S = 2/3 make f(1) = 1 and f(-1) = -1.
constexpr double kAmplitude = 1.7159;
constexpr double kSlope = 2.0 / 3.0;

}  // namespace

double derivative(ActivationKind kind, double slope, double y) {
  switch (kind) {
    case ActivationKind::none:
      return 1;
    case ActivationKind::relu:
      return y > 0 ? 1 : 0;
    case ActivationKind::tanh:
      return 1 - y * y;
    case ActivationKind::sigmoid:
      return y * (1 - y);
    case ActivationKind::scaled_tanh:
      return kSlope * (kAmplitude - y * y / kAmplitude);
    case ActivationKind::leaky_relu:
      return y > 0 ? 1 : slope;
    case ActivationKind::elu:
      return y > 0 ? 1 : y + slope;
    case ActivationKind::negative_part:
      return y < 0 ? 1 : 0;
    case ActivationKind::complement:
      return -1;
    case ActivationKind::scale:
      return slope;
    case ActivationKind::count_:
      break;
  }
  return 0;
}

double activate(ActivationKind kind, double x, double slope) {
  switch (kind) {
    case ActivationKind::none:
      return x;
    case ActivationKind::relu:
      return x < 0 ? 0 : x;  // a NaN stays one
    case ActivationKind::tanh:
      return std::tanh(x);
    case ActivationKind::sigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::scaled_tanh:
      return kAmplitude * std::tanh(kSlope * x);
    case ActivationKind::leaky_relu:
      return x < 0 ? slope * x : x;
    case ActivationKind::elu:
      return x > 0 ? x : slope * std::expm1(x);
    case ActivationKind::negative_part:
      return x > 0 ? 0 : x;
    case ActivationKind::complement:
      return 1 - x;
    case ActivationKind::scale:
      return slope * x;
    case ActivationKind::count_:
      break;
  }
  return x;
}

/// y = f(x)
void activation(const OpDesc& op, const KernelArguments& arguments) {
  const auto [kind, slope] = attributes<ActivationAttributes>(op);
  const double* x = in(arguments, 0);
  double* y = out(arguments, 0);
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i) y[i] = activate(kind, x[i], slope);
}

/// dx = dy f'(x)
void activation_backward(const OpDesc& op, const KernelArguments& arguments) {
  const auto [kind, slope] = attributes<ActivationAttributes>(op);
  const double *y = in(arguments, 0), *dy = in(arguments, 1);
  double* dx = out(arguments, 0);
  for (std::int64_t i = 0; i < op.inputs[0].shape.elements(); ++i) dx[i] = dy[i] * derivative(kind, slope, y[i]);
}

}  // namespace convoy::reference
