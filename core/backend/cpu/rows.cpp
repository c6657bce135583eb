// Ops that look along the channels of one position: local response normalisation, layer normalisation.
#include "core/backend/cpu/vector/rows.h"

#include <algorithm>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"

namespace convoy::cpu {
namespace {

const RowKernels& kernels() { return cpu_isa() == CpuIsa::avx512 ? avx512::row_kernels : avx2::row_kernels; }

/// Rows in blocks of about kElementBlock numbers.
struct Rows {
  std::int64_t rows, c, block;
  explicit Rows(const Shape& x)
      : rows(x.elements() / std::max<std::int64_t>(x[-1], 1)), c(x[-1]), block(std::max<std::int64_t>(kElementBlock / c, 1)) {}
  std::int64_t blocks() const { return (rows + block - 1) / block; }
  std::int64_t length(std::int64_t b) const { return std::min(block, rows - b * block); }
};

LocalResponse rule_of(const OpDesc& op) {
  const auto& a = std::get<LocalResponseAttributes>(op.attributes);
  return {a.size / 2, static_cast<float>(a.k), static_cast<float>(a.alpha), static_cast<float>(a.beta)};
}

/// body(first element, rows, work) for every block.
template <typename Body>
Bound bind_local(const OpDesc& op, int threads, InPlace in_place, Body body) {
  const Rows cut(op.inputs[0].shape);
  const std::int64_t work = 3 * cut.c + 2 * rule_of(op).half;
  KernelSpec spec;
  spec.scratch_bytes = static_cast<std::size_t>(threads * work) * sizeof(float);
  spec.in_place = std::move(in_place);
  spec.run = [=](const KernelArguments& arguments) {
    parallel_for_slots(threads, cut.blocks(), [&](std::int64_t b, int slot) {
      body(arguments, b * cut.block * cut.c, cut.length(b), static_cast<float*>(arguments.scratch) + slot * work);
    });
  };
  return make_vector_kernel(std::move(spec));
}

}  // namespace

Bound bind_local_response(const OpDesc& op, int threads, std::string*) {
  const LocalResponse rule = rule_of(op);
  const std::int64_t c = op.inputs[0].shape[-1];
  return bind_local(op, threads, {{0, 0}}, [=](const KernelArguments& arguments, std::int64_t at, std::int64_t rows, float* work) {
    kernels().local_response(rule, input<float>(arguments, 0) + at, output<float>(arguments, 0) + at, rows, c, work);
  });
}

Bound bind_local_response_backward(const OpDesc& op, int threads, std::string*) {
  const LocalResponse rule = rule_of(op);
  const std::int64_t c = op.inputs[0].shape[-1];
  return bind_local(op, threads, {{0, 0}, {1, 0}},
                    [=](const KernelArguments& arguments, std::int64_t at, std::int64_t rows, float* work) {
                      kernels().local_response_backward(rule, input<float>(arguments, 0) + at, input<float>(arguments, 1) + at,
                                                        output<float>(arguments, 0) + at, rows, c, work);
                    });
}

Bound bind_layer_norm(const OpDesc& op, int threads, std::string*) {
  const Rows cut(op.inputs[0].shape);
  const double epsilon = std::get<LayerNormAttributes>(op.attributes).epsilon;
  const auto run = [=](const KernelArguments& arguments) {
    parallel_for(threads, cut.blocks(), [&](std::int64_t b) {
      const std::int64_t row = b * cut.block, at = row * cut.c;
      float* inverse = output<float>(arguments, 1);
      kernels().layer_norm(epsilon, input<float>(arguments, 0) + at, output<float>(arguments, 0) + at,
                           inverse != nullptr ? inverse + row : nullptr, cut.length(b), cut.c);
    });
  };
  return make_vector_kernel({.run = run, .in_place = {{0, 0}}});
}

Bound bind_layer_norm_backward(const OpDesc& op, int threads, std::string*) {
  const Rows cut(op.inputs[0].shape);
  const auto run = [=](const KernelArguments& arguments) {
    parallel_for(threads, cut.blocks(), [&](std::int64_t b) {
      const std::int64_t row = b * cut.block, at = row * cut.c;
      kernels().layer_norm_backward(input<float>(arguments, 0) + at, input<float>(arguments, 1) + row,
                                    input<float>(arguments, 2) + at, output<float>(arguments, 0) + at, cut.length(b), cut.c);
    });
  };
  return make_vector_kernel({.run = run, .in_place = {{0, 0}, {2, 0}}});
}

}  // namespace convoy::cpu
