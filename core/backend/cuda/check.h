#pragma once
// Checked calls of the CUDA runtime.
#include <cuda_runtime.h>

namespace convoy::cuda {

/// Throws LibraryError with the call, the runtime's own words and the place.
void check(cudaError_t status, const char* call, const char* file, int line);

}  // namespace convoy::cuda

#define CONVOY_CUDA(call) ::convoy::cuda::check((call), #call, __FILE__, __LINE__)
