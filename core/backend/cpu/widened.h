#pragma once
// Kernels that compute in f32 alone, for operands in bf16 and f16: converted as a whole before and after the run.
#include "core/backend/cpu/kernel.h"

namespace convoy::cpu {

/// Whether the op has operands in bf16 or f16.
bool is_narrow(const OpDesc& op);

/// The same op with f32 in the place of bf16 and f16.
OpDesc widened(const OpDesc& op);

/// A kernel for `op` around `wide`, which was bound to widened(op) for as many threads.
std::unique_ptr<Kernel> make_widened(const OpDesc& op, std::unique_ptr<Kernel> wide, int threads);

}  // namespace convoy::cpu
