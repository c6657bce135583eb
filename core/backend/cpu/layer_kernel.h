#pragma once
// A bf16 primitive of a convolution or dense layer as the kernel of its op.
#include <memory>
#include <utility>

#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/layer_primitive.h"

namespace convoy::cpu {

/// Null stays null. `bias`: the op has one, or is to write its gradient.
inline std::unique_ptr<Kernel> bind_bf16(std::shared_ptr<NarrowPrimitive> primitive, Direction direction, bool bias) {
  if (primitive == nullptr) return nullptr;
  KernelSpec spec;
  spec.implementation = primitive->implementation() + " bf16";
  spec.scratch_bytes = primitive->scratch_bytes();
  const bool forward = direction == Direction::forward;
  spec.run = [primitive, forward, bias](const KernelArguments& arguments) {
    float* b = nullptr;
    if (bias) b = forward ? changed_input<float>(arguments, 2) : output<float>(arguments, 1);
    primitive->run(input<Bf16>(arguments, 0), input<Bf16>(arguments, 1), b, output<void>(arguments, 0),
                   arguments.scratch);
  };
  return make_kernel(std::move(spec));
}

}  // namespace convoy::cpu
