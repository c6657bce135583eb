// The ops of the update program: they change their operands in place.
#include <algorithm>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"
#include "core/backend/cpu/vector/elementwise.h"
#include "core/ops/guard_math.h"
#include "core/ops/update_math.h"
#include "core/tensor/error.h"

namespace convoy::cpu {
namespace {

const ElementwiseKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
}

}  // namespace

namespace {

bool is_infinite_or_nan(float x) { return (math::to_bits(x) & 0x7f800000u) == 0x7f800000u; }

/// Whole blocks without an early end, which the compiler turns into vector code.
bool all_finite(const float* values, std::int64_t n) {
  constexpr std::int64_t kBlock = 1024;
  std::int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    std::uint32_t bad = 0;
    for (std::int64_t k = 0; k < kBlock; ++k) bad |= is_infinite_or_nan(values[i + k]) ? 1u : 0u;
    if (bad) return false;
  }
  return std::none_of(values + i, values + n, is_infinite_or_nan);
}

}  // namespace

Bound bind_cast(const OpDesc& op, int threads, std::string*) {
  const Cast cast = cast_between(op.inputs[0].dtype, op.outputs[0].dtype);
  const auto from = static_cast<std::int64_t>(size_of(op.inputs[0].dtype)),
             to = static_cast<std::int64_t>(size_of(op.outputs[0].dtype));
  const std::int64_t n = op.inputs[0].shape.elements();
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      cast(input<std::byte>(arguments, 0) + begin * from, output<std::byte>(arguments, 0) + begin * to, m);
    });
  }});
}

Bound bind_guard(const OpDesc& op, int /*threads*/, std::string*) {
  const auto a = std::get<GuardAttributes>(op.attributes);
  std::vector<std::int64_t> elements;
  for (std::size_t i = 2; i < op.inputs.size(); ++i) elements.push_back(op.inputs[i].shape.elements());
  return make_kernel({.implementation = "loop", .run = [=](const KernelArguments& arguments) {
    bool finite = true;
    for (std::size_t i = 0; i < elements.size(); ++i)
      finite = finite && all_finite(input<float>(arguments, static_cast<int>(i) + 2), elements[i]);
    math::guard({a.scaling, a.most, static_cast<double>(a.growth_every), a.halts},
                static_cast<double>(*input<float>(arguments, 0)), finite, changed_input<double>(arguments, 1));
  }});
}

Bound bind_sgd(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<SgdAttributes>(op.attributes);
  const std::int64_t n = op.inputs[0].shape.elements();
  const auto f = kernels().sgd;
  const Cast copy = op.inputs.size() == 5 ? cast_between(DType::f32, op.inputs[4].dtype) : nullptr;
  const std::int64_t copy_bytes = copy ? static_cast<std::int64_t>(size_of(op.inputs[4].dtype)) : 0;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    const auto* scalars = input<double>(arguments, 3);
    if (scalars[kApply] == 0) return;
    const math::SgdStep step = math::sgd_step(scalars, static_cast<float>(attributes.decay),
                                              static_cast<float>(attributes.momentum), attributes.rate_factor,
                                              attributes.nesterov);
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(step, changed_input<float>(arguments, 0) + begin, changed_input<float>(arguments, 1) + begin,
        input<float>(arguments, 2) + begin, m);
      if (copy) copy(input<float>(arguments, 0) + begin, changed_input<std::byte>(arguments, 4) + begin * copy_bytes, m);
    });
  }});
}

Bound bind_running(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<RunningAttributes>(op.attributes);
  const std::int64_t n = op.inputs[0].shape.elements();
  const auto keep = static_cast<float>(1 - attributes.factor);
  const auto factor = static_cast<float>(attributes.factor / static_cast<double>(attributes.micro_batches));
  const auto f = kernels().blend;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    if (input<double>(arguments, 2)[kApply] == 0) return;
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(keep, factor, changed_input<float>(arguments, 0) + begin, input<float>(arguments, 1) + begin, m);
    });
  }});
}

}  // namespace convoy::cpu
