// loss = scale sum over samples i of w_i l_i. Logits and labels are seen as [n, q, k] and [n, q]: q positions
// of a sample, k classes; predictions and targets as [n, e].
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/backend/reference/kernels.h"
#include "core/tensor/error.h"

namespace convoy::reference {
namespace {

/// Labels come from files: one beyond the classes is an error of the data, not of the program.
std::int64_t checked_label(const std::int32_t* labels, std::int64_t n, std::int64_t Q, std::int64_t q,
                           std::int64_t K) {
  const std::int64_t label = labels[n * Q + q];
  if (label < 0 || label >= K)
    throw DataError(fmt::format(
        "sample {} of the micro-batch, position {}: label {}, but the model has {} classes", n, q, label, K));
  return label;
}

/// Writes loss = scale sum of w_i l_i and, if wanted, each l_i.
class Total {
 public:
  Total(const OpDesc& op, const KernelArguments& arguments, std::size_t samples_output)
      : scale_(attributes<LossAttributes>(op).scale),
        weights_(in(arguments, 2)),
        loss_(out(arguments, 0)),
        samples_(out(arguments, samples_output)) {}
  void sample(std::int64_t n, double l) {
    sum_ += weights_[n] * l;
    if (samples_) samples_[n] = l;
    if (loss_) *loss_ = scale_ * sum_;
  }

 private:
  double scale_, sum_ = 0;
  const double* weights_;
  double *loss_, *samples_;
};

/// scale, times the loss scale that a gradient may have behind its other operands.
double gradient_scale(const OpDesc& op, const KernelArguments& arguments) {
  const double scale = attributes<LossAttributes>(op).scale;
  return op.inputs.size() == 4 ? *in(arguments, 3) * scale : scale;
}

}  // namespace

/// p[n, q, j] = exp(a_j - max a) / sum over j of the same;  l_n = mean over q of -sum over j of t_j log p[n, q, j],
/// t_j = (1 - smoothing) [j = label] + smoothing / K
void softmax_cross_entropy(const OpDesc& op, const KernelArguments& arguments) {
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], K = shape[-1], Q = positions(shape) / N;
  const std::int32_t* labels = in<std::int32_t>(arguments, 1);
  double* probabilities = out(arguments, 1);
  const double smoothing = attributes<LossAttributes>(op).smoothing;
  Total total(op, arguments, 2);
  for (std::int64_t n = 0; n < N; ++n) {
    double l = 0;
    for (std::int64_t q = 0; q < Q; ++q) {
      const double* a = in(arguments, 0) + (n * Q + q) * K;
      const std::int64_t label = checked_label(labels, n, Q, q, K);
      const double largest = *std::max_element(a, a + K);
      double sum = 0;
      for (std::int64_t j = 0; j < K; ++j) sum += std::exp(a[j] - largest);
      double target = (1 - smoothing) * (a[label] - largest);  // sum over j of t_j (a_j - largest)
      for (std::int64_t j = 0; smoothing > 0 && j < K; ++j) target += smoothing / static_cast<double>(K) * (a[j] - largest);
      l += std::log(sum) - target;
      for (std::int64_t j = 0; probabilities && j < K; ++j)
        probabilities[(n * Q + q) * K + j] = std::exp(a[j] - largest) / sum;
    }
    total.sample(n, l / static_cast<double>(Q));
  }
}

/// da[n, q, j] = scale w_n (p[n, q, j] - t_j) / Q
void softmax_cross_entropy_backward(const OpDesc& op, const KernelArguments& arguments) {
  const double scale = gradient_scale(op, arguments), smoothing = attributes<LossAttributes>(op).smoothing;
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], K = shape[-1], Q = positions(shape) / N;
  const double *p = in(arguments, 0), *weights = in(arguments, 2);
  const std::int32_t* labels = in<std::int32_t>(arguments, 1);
  double* da = out(arguments, 0);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t q = 0; q < Q; ++q) {
      const std::int64_t label = checked_label(labels, n, Q, q, K);
      for (std::int64_t j = 0; j < K; ++j) {
        const std::int64_t i = (n * Q + q) * K + j;
        const double target = (j == label ? 1 - smoothing : 0) + smoothing / static_cast<double>(K);
        da[i] = scale * weights[n] * (p[i] - target) / static_cast<double>(Q);
      }
    }
}

/// l_n = mean over e of (y[n, e] - t[n, e])^2
void mean_squared(const OpDesc& op, const KernelArguments& arguments) {
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], E = shape.elements(1, shape.rank());
  const double *y = in(arguments, 0), *t = in(arguments, 1);
  Total total(op, arguments, 1);
  for (std::int64_t n = 0; n < N; ++n) {
    double sum = 0;
    for (std::int64_t i = n * E; i < (n + 1) * E; ++i) sum += (y[i] - t[i]) * (y[i] - t[i]);
    total.sample(n, sum / static_cast<double>(E));
  }
}

/// dy[n, e] = scale w_n 2 (y[n, e] - t[n, e]) / E
void mean_squared_backward(const OpDesc& op, const KernelArguments& arguments) {
  const double scale = gradient_scale(op, arguments);
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], E = shape.elements(1, shape.rank());
  const double *y = in(arguments, 0), *t = in(arguments, 1), *weights = in(arguments, 2);
  double* dy = out(arguments, 0);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t i = n * E; i < (n + 1) * E; ++i)
      dy[i] = scale * weights[n] * 2 * (y[i] - t[i]) / static_cast<double>(E);
}

/// l_n = mean over e of max(a, 0) - a t + log(1 + exp(-|a|)), which is -t log p - (1 - t) log(1 - p) for
/// p = sigmoid(a) without its overflows
void binary_cross_entropy(const OpDesc& op, const KernelArguments& arguments) {
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], E = shape.elements(1, shape.rank());
  const double *a = in(arguments, 0), *t = in(arguments, 1);
  double* probabilities = out(arguments, 1);
  Total total(op, arguments, 2);
  for (std::int64_t n = 0; n < N; ++n) {
    double sum = 0;
    for (std::int64_t i = n * E; i < (n + 1) * E; ++i) {
      sum += std::max(a[i], 0.0) - a[i] * t[i] + std::log1p(std::exp(-std::abs(a[i])));
      if (probabilities) probabilities[i] = activate(ActivationKind::sigmoid, a[i]);
    }
    total.sample(n, sum / static_cast<double>(E));
  }
}

/// da[n, e] = scale w_n (p[n, e] - t[n, e]) / E
void binary_cross_entropy_backward(const OpDesc& op, const KernelArguments& arguments) {
  const double scale = gradient_scale(op, arguments);
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], E = shape.elements(1, shape.rank());
  const double *p = in(arguments, 0), *t = in(arguments, 1), *weights = in(arguments, 2);
  double* da = out(arguments, 0);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t i = n * E; i < (n + 1) * E; ++i)
      da[i] = scale * weights[n] * (p[i] - t[i]) / static_cast<double>(E);
}

/// Sum of w_n over the samples whose label has fewer than k classes before it: those with a larger logit, or
/// with the same one and a lower index. A label whose logit is not a number never counts.
void top_k(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t N = op.inputs[0].shape[0], K = op.inputs[0].shape[1];
  const std::int32_t* labels = in<std::int32_t>(arguments, 1);
  const double* weights = in(arguments, 2);
  double hits = 0;
  for (std::int64_t n = 0; n < N; ++n) {
    const double* a = in(arguments, 0) + n * K;
    const std::int64_t label = checked_label(labels, n, 1, 0, K);
    std::int64_t before = 0;
    for (std::int64_t j = 0; j < K; ++j)
      if (a[j] > a[label] || (a[j] == a[label] && j < label)) ++before;
    if (!std::isnan(a[label]) && before < attributes<TopKAttributes>(op).k) hits += weights[n];
  }
  *out(arguments, 0) = hits;
}

}  // namespace convoy::reference
