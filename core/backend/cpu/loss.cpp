// Losses and what is counted beside them. Per-sample losses in single precision, their weighted sum in double
// in the order of the samples.
#include "core/backend/cpu/vector/loss.h"

#include <fmt/format.h>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/tensor/error.h"

namespace convoy::cpu {
namespace {

const LossKernels& kernels() { return cpu_isa() == CpuIsa::avx512 ? avx512::loss_kernels : avx2::loss_kernels; }

double scale_of(const OpDesc& op) { return std::get<LossAttributes>(op.attributes).scale; }
float smoothing_of(const OpDesc& op) { return static_cast<float>(std::get<LossAttributes>(op.attributes).smoothing); }

/// Labels come from files: one beyond the classes is an error of the data, not of the program.
void check_labels(const std::int32_t* labels, std::int64_t n, std::int64_t positions, std::int64_t classes) {
  for (std::int64_t i = 0; i < n * positions; ++i)
    if (labels[i] < 0 || labels[i] >= classes)
      throw DataError(
          fmt::format("sample {} of the micro-batch, position {}: label {}, but the model has {} classes",
                      i / positions, i % positions, labels[i], classes));
}

/// loss = scale * sum of w_i l_i.
float weighted_sum(double scale, const float* weights, const float* losses, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(weights[i]) * static_cast<double>(losses[i]);
  return static_cast<float>(scale * sum);
}

/// Of a gradient: the loss scale behind its other operands, 1 where there is none.
double loss_scale(const KernelArguments& arguments) {
  return arguments.inputs.size() == 4 ? static_cast<double>(*input<float>(arguments, 3)) : 1;
}

}  // namespace

Bound bind_softmax(const OpDesc& op, int threads, std::string*) {
  const Shape& logits = op.inputs[0].shape;
  const std::int64_t n = logits[0], k = logits[-1], positions = logits.elements(1, logits.rank() - 1);
  const double scale = scale_of(op);
  const float smoothing = smoothing_of(op);
  const LossKernels* kernel = &kernels();
  KernelSpec spec;
  spec.scratch_bytes = round_up_64(static_cast<std::size_t>(n * positions + n) * sizeof(float));
  spec.run = [=](const KernelArguments& arguments) {
    check_labels(input<std::int32_t>(arguments, 1), n, positions, k);
    auto* position_losses = static_cast<float*>(arguments.scratch);
    float* losses =
        output<float>(arguments, 2) != nullptr ? output<float>(arguments, 2) : position_losses + n * positions;
    float* probabilities = output<float>(arguments, 1);
    parallel_for(threads, n, [&](std::int64_t i) {
      const std::int64_t at = i * positions;
      kernel->softmax(input<float>(arguments, 0) + at * k, input<std::int32_t>(arguments, 1) + at, positions, k, smoothing,
                      probabilities != nullptr ? probabilities + at * k : nullptr, position_losses + at);
      double sum = 0;
      for (std::int64_t p = 0; p < positions; ++p) sum += static_cast<double>(position_losses[at + p]);
      losses[i] = static_cast<float>(sum / static_cast<double>(positions));
    });
    if (float* loss = output<float>(arguments, 0))
      *loss = weighted_sum(scale, input<float>(arguments, 2), losses, n);
  };
  return make_vector_kernel(std::move(spec));
}

Bound bind_softmax_backward(const OpDesc& op, int threads, std::string*) {
  const Shape& p = op.inputs[0].shape;
  const std::int64_t n = p[0], k = p[-1], positions = p.elements(1, p.rank() - 1);
  const double scale = scale_of(op) / static_cast<double>(positions);
  const float smoothing = smoothing_of(op);
  const LossKernels* kernel = &kernels();
  const auto run = [=](const KernelArguments& arguments) {
    check_labels(input<std::int32_t>(arguments, 1), n, positions, k);
    const double scaled = loss_scale(arguments) * scale;
    parallel_for(threads, n, [&](std::int64_t i) {
      const std::int64_t at = i * positions;
      const auto factor = static_cast<float>(scaled * static_cast<double>(input<float>(arguments, 2)[i]));
      kernel->softmax_backward(input<float>(arguments, 0) + at * k, input<std::int32_t>(arguments, 1) + at,
                               positions, k, smoothing, factor, output<float>(arguments, 0) + at * k);
    });
  };
  return make_vector_kernel({.run = run, .in_place = {{0, 0}}});
}

Bound bind_element_loss(const OpDesc& op, int threads, std::string*) {
  const Shape& x = op.inputs[0].shape;
  const std::int64_t n = x[0], size = x.elements(1, x.rank());
  const double scale = scale_of(op);
  const bool binary = op.kind == OpKind::binary_cross_entropy;
  const LossKernels* kernel = &kernels();
  KernelSpec spec;
  spec.scratch_bytes = round_up_64(static_cast<std::size_t>(n) * sizeof(float));
  spec.run = [=](const KernelArguments& arguments) {
    const int losses_at = binary ? 2 : 1;
    float* losses = output<float>(arguments, losses_at);
    if (losses == nullptr) losses = static_cast<float*>(arguments.scratch);
    float* probabilities = binary ? output<float>(arguments, 1) : nullptr;
    parallel_for(threads, n, [&](std::int64_t i) {
      const float *a = input<float>(arguments, 0) + i * size, *t = input<float>(arguments, 1) + i * size;
      const double sum =
          binary ? kernel->binary(a, t, size, probabilities != nullptr ? probabilities + i * size : nullptr)
                 : kernel->squared(a, t, size);
      losses[i] = static_cast<float>(sum / static_cast<double>(size));
    });
    if (float* loss = output<float>(arguments, 0))
      *loss = weighted_sum(scale, input<float>(arguments, 2), losses, n);
  };
  return make_vector_kernel(std::move(spec));
}

/// d l_i / dx = 2 (x - t) / size for squares, (p - t) / size for the binary cross-entropy.
Bound bind_element_loss_backward(const OpDesc& op, int threads, std::string*) {
  const Shape& x = op.inputs[0].shape;
  const std::int64_t n = x[0], size = x.elements(1, x.rank());
  const double factor =
      (op.kind == OpKind::mean_squared_backward ? 2 : 1) * scale_of(op) / static_cast<double>(size);
  const LossKernels* kernel = &kernels();
  const auto run = [=](const KernelArguments& arguments) {
    const double scaled = loss_scale(arguments) * factor;
    parallel_for(threads, n, [&](std::int64_t i) {
      kernel->difference(input<float>(arguments, 0) + i * size, input<float>(arguments, 1) + i * size, size,
                         static_cast<float>(scaled * static_cast<double>(input<float>(arguments, 2)[i])),
                         output<float>(arguments, 0) + i * size);
    });
  };
  return make_vector_kernel({.run = run, .in_place = {{0, 0}}});
}

Bound bind_top_k(const OpDesc& op, int, std::string*) {
  const Shape& logits = op.inputs[0].shape;
  const std::int64_t n = logits[0], classes = logits[1], k = std::get<TopKAttributes>(op.attributes).k;
  const LossKernels* kernel = &kernels();
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    check_labels(input<std::int32_t>(arguments, 1), n, 1, classes);
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
      if (kernel->rank(input<float>(arguments, 0) + i * classes, classes,
                       input<std::int32_t>(arguments, 1)[i]) < k)
        sum += static_cast<double>(input<float>(arguments, 2)[i]);
    *output<float>(arguments, 0) = static_cast<float>(sum);
  }});
}

Bound bind_sum_weights(const OpDesc& op, int, std::string*) {
  const std::int64_t n = op.inputs[0].shape.elements();
  return make_kernel({.implementation = "loop", .run = [=](const KernelArguments& arguments) {
                        double sum = 0;
                        for (std::int64_t i = 0; i < n; ++i)
                          sum += static_cast<double>(input<float>(arguments, 0)[i]);
                        *output<float>(arguments, 0) = static_cast<float>(sum);
                      }});
}

}  // namespace convoy::cpu
