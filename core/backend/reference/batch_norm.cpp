// Ioffe & Szegedy 2015, algorithm 1. x seen as [m, c]; everything per channel c.
#include <cmath>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

void store(double* values, std::int64_t c, double value) {
  if (values) values[c] = value;
}

}  // namespace

/// mean = sum x / m;  v = sum (x - mean)^2 / m;  y = f(gamma (x - mean) / sqrt(v + epsilon) + beta + residual)
void batch_norm(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<BatchNormAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  const double *x = in(arguments, 0), *gamma = in(arguments, 1), *beta = in(arguments, 2);
  const double* residual = a.residual ? in(arguments, 3) : nullptr;
  double* y = out(arguments, 0);
  const auto count = static_cast<double>(M);
  for (std::int64_t c = 0; c < C; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t m = 0; m < M; ++m) sum += x[m * C + c];
    const double mean = sum / count;
    for (std::int64_t m = 0; m < M; ++m) squares += (x[m * C + c] - mean) * (x[m * C + c] - mean);
    const double inverse_deviation = 1 / std::sqrt(squares / count + a.epsilon);
    for (std::int64_t m = 0; y && m < M; ++m)
      y[m * C + c] = activate(a.activation, gamma[c] * (x[m * C + c] - mean) * inverse_deviation + beta[c] +
                                            (residual ? residual[m * C + c] : 0));
    store(out(arguments, 1), c, mean);
    store(out(arguments, 2), c, inverse_deviation);
    store(out(arguments, 3), c, M > 1 ? squares / (count - 1) : squares / count);
  }
}

/// y = f(gamma (x - running mean) / sqrt(running variance + epsilon) + beta + residual)
void batch_norm_inference(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<BatchNormAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  const double *x = in(arguments, 0), *gamma = in(arguments, 1), *beta = in(arguments, 2);
  const double *mean = in(arguments, 3), *variance = in(arguments, 4);
  const double* residual = a.residual ? in(arguments, 5) : nullptr;
  double* y = out(arguments, 0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < C; ++c)
      y[m * C + c] = activate(
          a.activation, gamma[c] * (x[m * C + c] - mean[c]) / std::sqrt(variance[c] + a.epsilon) + beta[c] +
                            (residual ? residual[m * C + c] : 0));
}

/// xh = (x - mean) inverse_deviation;  dbeta = sum dy;  dgamma = sum dy xh;
/// dx = gamma inverse_deviation (dy - dbeta / m - xh dgamma / m). With a fused ReLU dy counts where y > 0 only;
/// dresidual is what counts.
void batch_norm_backward(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<BatchNormAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  const double *x = in(arguments, 0), *gamma = in(arguments, 1), *mean = in(arguments, 2);
  const double *inverse_deviation = in(arguments, 3), *dy = in(arguments, 4);
  const double* y = a.activation == ActivationKind::none ? nullptr : in(arguments, 5);
  double *dx = out(arguments, 0), *dresidual = a.residual ? out(arguments, 3) : nullptr;
  const auto count = static_cast<double>(M);
  for (std::int64_t c = 0; c < C; ++c) {
    const auto passed = [&](std::int64_t i) { return y && !(y[i] > 0) ? 0.0 : dy[i]; };
    const auto xh = [&](std::int64_t i) { return (x[i] - mean[c]) * inverse_deviation[c]; };
    double dbeta = 0, dgamma = 0;
    for (std::int64_t m = 0; m < M; ++m) {
      dbeta += passed(m * C + c);
      dgamma += passed(m * C + c) * xh(m * C + c);
    }
    for (std::int64_t i = c; dx && i < M * C; i += C)
      dx[i] = gamma[c] * inverse_deviation[c] * (passed(i) - dbeta / count - xh(i) * dgamma / count);
    for (std::int64_t i = c; dresidual && i < M * C; i += C) dresidual[i] = passed(i);
    store(out(arguments, 1), c, dgamma);
    store(out(arguments, 2), c, dbeta);
  }
}

}  // namespace convoy::reference
