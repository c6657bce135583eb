// Ops that look along the channels of one position: local response normalisation, layer normalisation.
#include <algorithm>
#include <cmath>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

/// k + alpha sum over the neighbours j of channel i of x_j^2
double response(const LocalResponseAttributes& a, const double* x, std::int64_t C, std::int64_t i) {
  double sum = 0;
  for (std::int64_t j = std::max<std::int64_t>(i - a.size / 2, 0); j <= std::min(i + a.size / 2, C - 1); ++j) sum += x[j] * x[j];
  return a.k + a.alpha * sum;
}

}  // namespace

/// y_i = x_i s_i^-beta
void local_response(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<LocalResponseAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  for (std::int64_t m = 0; m < M; ++m) {
    const double* x = in(arguments, 0) + m * C;
    for (std::int64_t i = 0; i < C; ++i) out(arguments, 0)[m * C + i] = x[i] * std::pow(response(a, x, C, i), -a.beta);
  }
}

/// dx_i = dy_i s_i^-beta - 2 alpha beta x_i sum over neighbours j of dy_j x_j s_j^(-beta - 1)
void local_response_backward(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<LocalResponseAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  for (std::int64_t m = 0; m < M; ++m) {
    const double *x = in(arguments, 0) + m * C, *dy = in(arguments, 1) + m * C;
    for (std::int64_t i = 0; i < C; ++i) {
      double sum = 0;
      for (std::int64_t j = std::max<std::int64_t>(i - a.size / 2, 0); j <= std::min(i + a.size / 2, C - 1); ++j)
        sum += dy[j] * x[j] * std::pow(response(a, x, C, j), -a.beta - 1);
      out(arguments, 0)[m * C + i] = dy[i] * std::pow(response(a, x, C, i), -a.beta) - 2 * a.alpha * a.beta * x[i] * sum;
    }
  }
}

/// y = (x - mean) d, d = 1 / sqrt(variance + epsilon)
void layer_norm(const OpDesc& op, const KernelArguments& arguments) {
  const double epsilon = attributes<LayerNormAttributes>(op).epsilon;
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  for (std::int64_t m = 0; m < M; ++m) {
    const double* x = in(arguments, 0) + m * C;
    double mean = 0, variance = 0;
    for (std::int64_t c = 0; c < C; ++c) mean += x[c] / static_cast<double>(C);
    for (std::int64_t c = 0; c < C; ++c) variance += (x[c] - mean) * (x[c] - mean) / static_cast<double>(C);
    const double d = 1 / std::sqrt(variance + epsilon);
    for (std::int64_t c = 0; c < C; ++c) out(arguments, 0)[m * C + c] = (x[c] - mean) * d;
    if (double* inverse = out(arguments, 1)) inverse[m] = d;
  }
}

/// dx = d (dy - mean(dy) - y mean(dy y))
void layer_norm_backward(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  for (std::int64_t m = 0; m < M; ++m) {
    const double *y = in(arguments, 0) + m * C, *dy = in(arguments, 2) + m * C;
    double mean = 0, product = 0;
    for (std::int64_t c = 0; c < C; ++c) {
      mean += dy[c] / static_cast<double>(C);
      product += dy[c] * y[c] / static_cast<double>(C);
    }
    for (std::int64_t c = 0; c < C; ++c)
      out(arguments, 0)[m * C + c] = in(arguments, 1)[m] * (dy[c] - mean - y[c] * product);
  }
}

}  // namespace convoy::reference
