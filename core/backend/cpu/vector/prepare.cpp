#include "core/backend/cpu/vector/prepare.h"

#include "core/backend/cpu/vector/simd.h"
#include "core/ops/elementwise_math.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

template <typename T>
void normalise(const T* stored, const float* mean, const float* factor, float* y, i64 n) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) y[i] = math::normalise(static_cast<float>(stored[i]), mean[i], factor[i]);
}

}  // namespace

const PrepareKernels prepare_kernels = {
    .from_u8 = normalise<std::uint8_t>,
    .from_u16 = normalise<std::uint16_t>,
    .from_f32 = normalise<float>,
};

}  // namespace convoy::cpu::CONVOY_ISA
