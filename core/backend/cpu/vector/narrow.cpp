#include "core/backend/cpu/vector/narrow.h"

#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

template <typename T>
void widen(const void* x, float* y, i64 n) {
  const auto* from = static_cast<const T*>(x);
#pragma omp simd
  for (i64 i = 0; i < n; ++i) y[i] = to_float(from[i]);
}

template <typename T>
void round_to(const float* x, void* y, i64 n) {
  auto* to = static_cast<T*>(y);
#pragma omp simd
  for (i64 i = 0; i < n; ++i) to[i] = from_float<T>(x[i]);
}

}  // namespace

const NarrowKernels narrow_kernels = {
    .bf16 = {widen<Bf16>, round_to<Bf16>},
    .f16 = {widen<F16>, round_to<F16>},
};

}  // namespace convoy::cpu::CONVOY_ISA
