#pragma once
// Normalising a run of stored values: y[i] = (stored[i] - mean[i]) factor[i].
#include <cstdint>

namespace convoy::cpu {

struct PrepareKernels {
  void (*from_u8)(const std::uint8_t* stored, const float* mean, const float* factor, float* y, std::int64_t n);
  void (*from_u16)(const std::uint16_t* stored, const float* mean, const float* factor, float* y,
                   std::int64_t n);
  void (*from_f32)(const float* stored, const float* mean, const float* factor, float* y, std::int64_t n);
};

namespace avx2 {
extern const PrepareKernels prepare_kernels;
}
namespace avx512 {
extern const PrepareKernels prepare_kernels;
}

}  // namespace convoy::cpu
