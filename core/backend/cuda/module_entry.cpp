// What the binary sees of libconvoy_cuda.so (core/backend/cuda_module.h).
#include <cuda_runtime.h>
#include <fmt/format.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cuda_backend.h"

namespace convoy::cuda {
namespace {

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string why_no_device(cudaError_t status) {
  int driver = 0, runtime = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const std::string words = fmt::format("{}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
  if (driver == 0) return fmt::format("no NVIDIA driver is loaded ({})", cudaGetErrorName(status));
  if (status == cudaErrorInsufficientDriver)
    return fmt::format("the NVIDIA driver is for CUDA {}, but this build needs {} ({})", version_text(driver),
                       version_text(runtime), words);
  return fmt::format("the NVIDIA driver offers no device ({})", words);
}

constexpr int kLeastCapability = 8;  // as CONVOY_CUDA_ARCHITECTURES begins (toolkit.cmake)

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
    if (properties.major < kLeastCapability) {  // ranks choose by ordinal, so one too old leaves out all
      found = {};
      found.why_none = fmt::format("GPU {}, {}, has compute capability {}.{}, but the kernels need {}.0; CUDA_VISIBLE_DEVICES "
                                   "leaves it out",
                                   ordinal, properties.name, properties.major, properties.minor, kLeastCapability);
      return found;
    }
    found.names.emplace_back(properties.name);
    std::string id = "GPU-";
    for (const char byte : properties.uuid.bytes) id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    found.ids.push_back(id);
  }
  return found;
}

}  // namespace
}  // namespace convoy::cuda

extern "C" __attribute__((visibility("default"))) const convoy::ModuleHead* convoy_cuda_module() {
  static const convoy::CudaModule module{
      {convoy::module_build()}, convoy::cuda::find_devices, convoy::cuda::make_backend};
  return &module.head;
}
