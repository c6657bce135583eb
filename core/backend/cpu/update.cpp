// The ops of the update program: they change their operands in place.
#include <algorithm>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"
#include "core/backend/cpu/vector/elementwise.h"
#include "core/backend/cpu/vector/update.h"
#include "core/ops/guard_math.h"
#include "core/ops/update_math.h"
#include "core/ops/update_operands.h"
#include "core/tensor/error.h"

namespace convoy::cpu {
namespace {

const ElementwiseKernels& elementwise() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
}

const UpdateKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::update_kernels : avx2::update_kernels;
}

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

Bound bind_squared_norms(const OpDesc& op, int threads, std::string*) {
  std::vector<std::int64_t> elements;
  std::int64_t most_blocks = 0;
  for (const TensorDesc& tensor : op.inputs) {
    elements.push_back(tensor.shape.elements());
    most_blocks = std::max(most_blocks, (elements.back() + math::kNormBlock - 1) / math::kNormBlock);
  }
  const auto f = kernels().block_norm;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    auto* blocks = static_cast<double*>(arguments.scratch);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const auto* x = input<float>(arguments, static_cast<int>(i));
      parallel_blocks(threads, elements[i], math::kNormBlock, [&](std::int64_t begin, std::int64_t n) {
        blocks[begin / math::kNormBlock] = f(x + begin, n);
      });
      output<double>(arguments, 0)[i] = math::fold_tree(blocks, (elements[i] + math::kNormBlock - 1) / math::kNormBlock);
    }
  }, .scratch_bytes = static_cast<std::size_t>(most_blocks) * sizeof(double)});
}

Bound bind_clip_norm(const OpDesc& op, int /*threads*/, std::string*) {
  const auto a = std::get<ClipAttributes>(op.attributes);
  return make_kernel({.implementation = "loop", .run = [=](const KernelArguments& arguments) {
    math::clip(a.limit, a.tensors, input<double>(arguments, 0), changed_input<double>(arguments, 1));
  }});
}

namespace {

UpdateKernels::Rule rule_kernel(Optimizer rule) {
  switch (rule) {
    case Optimizer::rmsprop: return kernels().rmsprop;
    case Optimizer::adam: return kernels().adam;
    case Optimizer::adagrad: return kernels().adagrad;
    case Optimizer::sgd:
    case Optimizer::lars: break;
  }
  return kernels().sgd;
}

}  // namespace

Bound bind_weight_update(const OpDesc& op, int threads, std::string*) {
  const auto& attributes = std::get<UpdateAttributes>(op.attributes);
  const math::UpdateRule rule = math::rule_of(attributes);
  const UpdateOperands at = operands_of(attributes);
  const bool two_slots = slots_of(attributes.rule) > 1, has_norms = takes_norms(attributes);
  const std::int64_t n = op.inputs[0].shape.elements();
  const auto f = rule_kernel(attributes.rule);
  const bool copies = at.has_copy(op.inputs.size());
  const DType copy_type = copies ? op.inputs[static_cast<std::size_t>(at.copy)].dtype : DType::f32;
  const Cast copy = copies ? cast_between(DType::f32, copy_type) : nullptr;
  const auto copy_bytes = static_cast<std::int64_t>(size_of(copy_type));
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    const auto* scalars = input<double>(arguments, at.scalars);
    if (scalars[kApply] == 0) return;
    const math::UpdateStep step =
        math::update_step(rule, scalars, has_norms ? input<double>(arguments, at.norms) : nullptr);
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(step, changed_input<float>(arguments, 0) + begin, changed_input<float>(arguments, 1) + begin,
        two_slots ? changed_input<float>(arguments, 2) + begin : nullptr, input<float>(arguments, at.gradient) + begin, m);
      if (copies)
        copy(input<float>(arguments, 0) + begin, changed_input<std::byte>(arguments, at.copy) + begin * copy_bytes, m);
    });
  }});
}

Bound bind_running(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<RunningAttributes>(op.attributes);
  const std::int64_t n = op.inputs[0].shape.elements();
  const auto keep = static_cast<float>(1 - attributes.factor);
  const auto factor = static_cast<float>(attributes.factor / static_cast<double>(attributes.micro_batches));
  const auto f = elementwise().blend;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    if (input<double>(arguments, 2)[kApply] == 0) return;
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(keep, factor, changed_input<float>(arguments, 0) + begin, input<float>(arguments, 1) + begin, m);
    });
  }});
}

Bound bind_average(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<AverageAttributes>(op.attributes);
  const std::int64_t n = op.inputs[0].shape.elements();
  const auto f = elementwise().blend;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    const auto* scalars = input<double>(arguments, 2);
    if (scalars[kApply] == 0) return;
    const double share = math::average_share(attributes.decay, static_cast<double>(attributes.from), scalars);
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(static_cast<float>(1 - share), static_cast<float>(share), changed_input<float>(arguments, 0) + begin,
        input<float>(arguments, 1) + begin, m);
    });
  }});
}

}  // namespace convoy::cpu
