// Batch normalisation over the whole batch, of which x is one micro-batch; seen as [m, c]; everything per channel c.
#include <cmath>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

struct View {
  std::int64_t M, C;
  explicit View(const OpDesc& op) : M(positions(op.inputs[0].shape)), C(op.inputs[0].shape[-1]) {}
};

}  // namespace

/// mean_v = sum x / m;  v_v = sum (x - mean_v)^2 / m;  sums = (mean_v - k, v_v + (mean_v - k)^2)
void batch_norm_moments(const OpDesc& op, const KernelArguments& arguments) {
  const auto [M, C] = View(op);
  const double *x = in(arguments, 0), *k = in(arguments, 1);
  double* sums = out(arguments, 0);
  for (std::int64_t c = 0; c < C; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t m = 0; m < M; ++m) sum += x[m * C + c];
    const double mean = sum / static_cast<double>(M);
    for (std::int64_t m = 0; m < M; ++m) squares += (x[m * C + c] - mean) * (x[m * C + c] - mean);
    sums[c] = mean - k[c];
    sums[C + c] = squares / static_cast<double>(M) + (mean - k[c]) * (mean - k[c]);
  }
}

/// mean = k + s1 / V;  v = s2 / V - (mean - k)^2;  y = gamma (x - mean) / sqrt(v + epsilon) + beta
void batch_norm_global(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<GlobalBatchNormAttributes>(op);
  const auto [M, C] = View(op);
  const double *x = in(arguments, 0), *gamma = in(arguments, 1), *beta = in(arguments, 2), *k = in(arguments, 3),
               *sums = in(arguments, 4);
  const auto V = static_cast<double>(a.micro_batches), count = V * static_cast<double>(M);
  for (std::int64_t c = 0; c < C; ++c) {
    const double distance = sums[c] / V, mean = k[c] + distance;
    const double variance = std::max(sums[C + c] / V - distance * distance, 0.0);
    const double inverse_deviation = 1 / std::sqrt(variance + a.epsilon);
    if (double* y = out(arguments, 0))
      for (std::int64_t m = 0; m < M; ++m)
        y[m * C + c] = activate(a.activation, gamma[c] * (x[m * C + c] - mean) * inverse_deviation + beta[c]);
    const double statistics[] = {mean, inverse_deviation, count > 1 ? variance * count / (count - 1) : variance};
    for (std::size_t i = 0; i < 3; ++i)
      if (double* statistic = out(arguments, 1 + i)) statistic[c] = statistics[i];
  }
}

/// sums = (sum dy xh, sum dy) with xh = (x - mean) inverse_deviation
void batch_norm_global_sums(const OpDesc& op, const KernelArguments& arguments) {
  const auto [M, C] = View(op);
  const double *x = in(arguments, 0), *mean = in(arguments, 1), *inverse_deviation = in(arguments, 2), *dy = in(arguments, 3);
  double* sums = out(arguments, 0);
  for (std::int64_t c = 0; c < C; ++c) {
    sums[c] = sums[C + c] = 0;
    for (std::int64_t m = 0; m < M; ++m) {
      sums[c] += dy[m * C + c] * (x[m * C + c] - mean[c]) * inverse_deviation[c];
      sums[C + c] += dy[m * C + c];
    }
  }
}

/// dx = gamma inverse_deviation (dy - dbeta / M - xh dgamma / M), M over the whole batch
void batch_norm_global_backward(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<GlobalBatchNormAttributes>(op);
  const auto [M, C] = View(op);
  const double *x = in(arguments, 0), *gamma = in(arguments, 1), *mean = in(arguments, 2);
  const double *inverse_deviation = in(arguments, 3), *sums = in(arguments, 4), *dy = in(arguments, 5);
  double* dx = out(arguments, 0);
  const double count = static_cast<double>(a.micro_batches) * static_cast<double>(M);
  for (std::int64_t i = 0; i < M * C; ++i) {
    const std::int64_t c = i % C;
    const double xh = (x[i] - mean[c]) * inverse_deviation[c];
    dx[i] = gamma[c] * inverse_deviation[c] * (dy[i] - sums[C + c] / count - xh * sums[c] / count);
  }
}

}  // namespace convoy::reference
