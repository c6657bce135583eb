#pragma once
// bf16 and f16 to floats and back, n at a time, with the bits of tensor/narrow.h: the compiler makes vector code of those
// functions.
#include <cstdint>

#include "core/tensor/narrow.h"

namespace convoy::cpu {

struct NarrowKernels {
  struct OfType {
    void (*widen)(const void* x, float* y, std::int64_t n);
    void (*round)(const float* x, void* y, std::int64_t n);
  };
  OfType bf16, f16;
};

namespace avx2 {
extern const NarrowKernels narrow_kernels;
}
namespace avx512 {
extern const NarrowKernels narrow_kernels;
}

}  // namespace convoy::cpu
