#pragma once
// Device::add, fold, pack_bf16 and unpack_bf16 as kernels (sums.cu). f32 arrays begin at multiples of 16 bytes.
#include <cuda_runtime.h>

#include "core/backend/device.h"

namespace convoy::cuda {

void add(cudaStream_t stream, float* to, const float* left, const float* right, std::size_t elements, SumRounding rounding);
void fold(cudaStream_t stream, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
          SumRounding rounding);
void pack_bf16(cudaStream_t stream, std::uint16_t* to, const float* from, std::size_t elements);
void unpack_bf16(cudaStream_t stream, float* to, const std::uint16_t* from, std::size_t elements);
/// Launches each of these kernels once; what it writes stays zeros. `memory`: kRehearsalBytes of zeros, 16-byte aligned.
inline constexpr std::size_t kRehearsalBytes = 256;
void rehearse_sums(cudaStream_t stream, void* memory);

}  // namespace convoy::cuda
