// Dense layers: a dense layer is a convolution of kernel 1 over n pixels, so the plain loops serve both.
#include <algorithm>

#include "core/backend/cpu/conv_loop.h"
#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/layer_kernel.h"
#include "core/backend/cpu/onednn.h"
#include "core/backend/cpu/vector/dense.h"

namespace convoy::cpu {
namespace {

struct DenseProblem {
  DenseSizes sizes;
  Direction direction = Direction::forward;
};

DenseProblem problem_of(const OpDesc& op) {
  const auto& attributes = std::get<DenseAttributes>(op.attributes);
  DenseProblem p;
  p.sizes.o = attributes.units;
  switch (op.kind) {
    case OpKind::dense_backward_data:
      p.direction = Direction::backward_data;
      p.sizes.n = op.inputs[0].shape[0];
      p.sizes.f = op.inputs[1].shape[1];
      break;
    case OpKind::dense_backward_weights:
      p.direction = Direction::backward_filters;
      p.sizes.n = op.inputs[0].shape[0];
      p.sizes.f = op.inputs[0].shape[1];
      p.sizes.bias = op.outputs.size() > 1 && (op.wanted.empty() || op.wanted[1]);
      break;
    default:
      p.sizes.n = op.inputs[0].shape[0];
      p.sizes.f = op.inputs[0].shape[1];
      p.sizes.bias = op.inputs.size() > 2;
      p.sizes.relu = attributes.activation == ActivationKind::relu;
  }
  return p;
}

Bound bind_with(const DenseProblem& problem, std::unique_ptr<LayerPrimitive> primitive) {
  if (primitive == nullptr) return nullptr;
  KernelSpec spec;
  spec.implementation = primitive->implementation();
  spec.scratch_bytes = primitive->scratch_bytes();
  const bool forward = problem.direction == Direction::forward, bias = problem.sizes.bias;
  spec.run = [forward, bias, primitive = std::shared_ptr<LayerPrimitive>(std::move(primitive))](
                 const KernelArguments& arguments) {
    float* b = nullptr;
    if (bias) b = forward ? changed_input<float>(arguments, 2) : output<float>(arguments, 1);
    primitive->run(input<float>(arguments, 0), input<float>(arguments, 1), b, output<float>(arguments, 0),
                   arguments.scratch);
  };
  return make_kernel(std::move(spec));
}

}  // namespace

Bound bind_dense_onednn(const OpDesc& op, int threads, std::string* reason) {
  const DenseProblem problem = problem_of(op);
  return bind_with(problem, onednn::make_dense(problem.sizes, problem.direction, threads, reason));
}

Bound bind_dense_onednn_bf16(const OpDesc& op, int threads, std::string* reason) {
  const DenseProblem problem = problem_of(op);
  return bind_bf16(onednn::make_dense_bf16(problem.sizes, problem.direction, threads, reason), problem.direction,
                   problem.sizes.bias);
}

/// Measured (Zen 5, two threads): of 32 samples, 9216 features and 4096 units oneDNN's product takes three times as long, for it
/// copies the weights; with 128 samples that no longer counts.
Bound bind_dense_rows(const OpDesc& op, int threads, std::string* reason) {
  constexpr std::int64_t kMostSamples = 64;
  const DenseSizes sizes = problem_of(op).sizes;
  if (sizes.n > kMostSamples) return *reason = "for at most 64 samples", nullptr;
  const auto forward = cpu_isa() == CpuIsa::avx512 ? avx512::dense_kernels.forward : avx2::dense_kernels.forward;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    const float* bias = sizes.bias ? input<float>(arguments, 2) : nullptr;
    parallel_blocks(threads, sizes.o, kDenseUnits, [&](std::int64_t first, std::int64_t units) {
      forward(input<float>(arguments, 0), input<float>(arguments, 1), bias, sizes.relu, output<float>(arguments, 0), sizes.n,
              sizes.f, sizes.o, first, first + units);
    });
  }});
}

Bound bind_dense_loop(const OpDesc& op, int threads, std::string* reason) {
  const DenseProblem problem = problem_of(op);
  ConvSizes sizes;
  sizes.axes = 1;
  sizes.n = problem.sizes.n;
  sizes.c = problem.sizes.f;
  sizes.o = problem.sizes.o;
  sizes.in = sizes.out = sizes.kernel = sizes.stride = sizes.dilation = {1, 1, 1};
  sizes.bias = problem.sizes.bias;
  sizes.relu = problem.sizes.relu;
  return bind_with(problem, make_conv_loop(sizes, problem.direction, threads, reason));
}

}  // namespace convoy::cpu
