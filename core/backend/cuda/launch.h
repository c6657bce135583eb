#pragma once
// Launches of our own kernels: launch(kernel, grid, block, stream, arguments...). The one door, so that tests can run the
// same kernels on the CPU (tests/support/cuda_emulator has a cuda_runtime.h of its own and comes first on its path).
// Kernels use static shared memory only, up to 48 KiB, and no float atomics: their sums have a fixed order.
#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "core/backend/cuda/check.h"

namespace convoy::cuda {

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream, Arguments&&... arguments) {
#if defined(CONVOY_CUDA_EMULATED)
  CONVOY_CUDA(::emulator::enqueue(stream, kernel, grid, block, std::forward<Arguments>(arguments)...));
#else
  const auto call = [&](Parameters... parameters) {
    void* pointers[sizeof...(Parameters) + 1] = {static_cast<void*>(&parameters)..., nullptr};
    CONVOY_CUDA(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, 0, stream));
  };
  call(std::forward<Arguments>(arguments)...);
#endif
}

}  // namespace convoy::cuda
