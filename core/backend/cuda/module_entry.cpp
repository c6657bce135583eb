// What the binary sees of libconvoy_cuda.so (core/backend/cuda_module.h).
#include <cuda_runtime.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda_module.h"
#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

std::string why_no_device(cudaError_t status) {
  int driver = 0, runtime = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const std::string words = std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status);
  if (driver == 0) return "no NVIDIA driver is loaded (" + words + ")";
  if (status == cudaErrorInsufficientDriver)
    return "the NVIDIA driver is for CUDA " + version_text(driver) + ", but this build needs " + version_text(runtime) + " (" +
           words + ")";
  return "the NVIDIA driver offers no device (" + words + ")";
}

CudaDevices find_devices() {
  CudaDevices found;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    static_cast<void>(cudaGetLastError());
    found.why_none = why_no_device(status == cudaSuccess ? cudaErrorNoDevice : status);
    return found;
  }
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    CONVOY_CUDA(cudaGetDeviceProperties(&properties, ordinal));
    found.names.emplace_back(properties.name);
  }
  return found;
}

std::unique_ptr<Backend> make_backend(const CudaOptions& options) {
  CONVOY_CUDA(cudaSetDevice(options.ordinal));
  throw Error("the CUDA backend has no kernels yet");
}

}  // namespace
}  // namespace convoy::cuda

extern "C" __attribute__((visibility("default"))) const convoy::ModuleHead* convoy_cuda_module() {
  static const convoy::CudaModule module{
      {convoy::module_build()}, convoy::cuda::find_devices, convoy::cuda::make_backend};
  return &module.head;
}
