#include "core/backend/cuda/check.h"

#include <string>

#include "core/tensor/error.h"

namespace convoy::cuda {

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw LibraryError(std::string(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ", " +
                     file + ":" + std::to_string(line) + ")");
}

}  // namespace convoy::cuda
