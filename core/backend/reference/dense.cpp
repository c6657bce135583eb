// x [n, f], weights [u, f], y [n, u].
#include <algorithm>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {

/// y[n, u] = bias[u] + sum over f: x[n, f] w[u, f]
void dense(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<DenseAttributes>(op);
  const std::int64_t N = op.inputs[0].shape[0], F = op.inputs[0].shape[1], U = a.units;
  const double *x = in(arguments, 0), *w = in(arguments, 1), *bias = a.bias ? in(arguments, 2) : nullptr;
  double* y = out(arguments, 0);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t u = 0; u < U; ++u) {
      double sum = bias ? bias[u] : 0.0;
      for (std::int64_t f = 0; f < F; ++f) sum += x[n * F + f] * w[u * F + f];
      y[n * U + u] = activate(a.activation, sum);
    }
}

/// dx[n, f] = sum over u: dy[n, u] w[u, f]
void dense_backward_data(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t N = op.outputs[0].shape[0], F = op.outputs[0].shape[1], U = op.inputs[0].shape[1];
  const double *dy = in(arguments, 0), *w = in(arguments, 1);
  double* dx = out(arguments, 0);
  std::fill_n(dx, N * F, 0.0);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t u = 0; u < U; ++u)
      for (std::int64_t f = 0; f < F; ++f) dx[n * F + f] += dy[n * U + u] * w[u * F + f];
}

/// dw[u, f] = sum over n: dy[n, u] x[n, f];  dbias[u] = sum over n: dy[n, u]
void dense_backward_weights(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<DenseAttributes>(op);
  const std::int64_t N = op.inputs[0].shape[0], F = op.inputs[0].shape[1], U = a.units;
  const double *x = in(arguments, 0), *dy = in(arguments, 1);
  if (double* dw = out(arguments, 0)) {
    std::fill_n(dw, U * F, 0.0);
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t u = 0; u < U; ++u)
        for (std::int64_t f = 0; f < F; ++f) dw[u * F + f] += dy[n * U + u] * x[n * F + f];
  }
  if (double* dbias = a.bias ? out(arguments, 1) : nullptr) {
    std::fill_n(dbias, U, 0.0);
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t u = 0; u < U; ++u) dbias[u] += dy[n * U + u];
  }
}

}  // namespace convoy::reference
