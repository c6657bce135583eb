// The ops of the update program: they change their operands in place.
#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/vector/elementwise.h"
#include "core/optim/scalars.h"

namespace convoy::cpu {
namespace {

const ElementwiseKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
}

}  // namespace

Bound bind_sgd(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<SgdAttributes>(op.attributes);
  const std::int64_t n = op.inputs[0].shape.elements();
  const auto f = kernels().sgd;
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    const auto* scalars = input<double>(arguments, 3);
    const math::SgdStep step{.inverse_weight = static_cast<float>(1 / scalars[kTotalWeight]),
                             .decay = static_cast<float>(attributes.decay),
                             .momentum = static_cast<float>(attributes.momentum),
                             .rate = static_cast<float>(scalars[kLearningRate] * attributes.rate_factor),
                             .nesterov = attributes.nesterov};
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(step, changed_input<float>(arguments, 0) + begin, changed_input<float>(arguments, 1) + begin,
        input<float>(arguments, 2) + begin, m);
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
    parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
      f(keep, factor, changed_input<float>(arguments, 0) + begin, input<float>(arguments, 1) + begin, m);
    });
  }});
}

}  // namespace convoy::cpu
