// NVIDIA's libraries do not run on the emulator: their candidates decline, and our own kernels compute.
#include "core/backend/cuda/cuda_backend.h"
#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {

Bound bind_conv_cudnn(const Context&, const OpDesc&, std::string* reason) {
  *reason = "there is no cuDNN on an emulated device";
  return nullptr;
}
Bound bind_dense_cublas(const Context&, const OpDesc&, std::string* reason) {
  *reason = "there is no cuBLASLt on an emulated device";
  return nullptr;
}

std::shared_ptr<Libraries> open_libraries(const Context&, const CudaOptions&) { return nullptr; }
std::vector<std::pair<std::string, std::string>> library_versions(const Libraries&) { return {}; }
std::string library_plans(const Libraries&) { return {}; }
void adopt_library_plans(Libraries&, const std::string&) {}

}  // namespace convoy::cuda
