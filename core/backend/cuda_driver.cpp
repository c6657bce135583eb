#include "core/backend/cuda_driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace convoy {
namespace {

constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE

std::string ask() {
  // Never closed: the CUDA runtime goes on to use it.
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return "no NVIDIA driver is loaded (libcuda.so.1 is not there)";
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto count_devices = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  if (init == nullptr || count_devices == nullptr) return "libcuda.so.1 is not NVIDIA's driver: it has no cuInit";
  int devices = 0;
  int status = init(0);
  if (status == 0) status = count_devices(&devices);
  if (status == kNoDevice || (status == 0 && devices == 0))
    return "the NVIDIA driver offers no device (CUDA_VISIBLE_DEVICES may hide them)";
  return status == 0 ? "" : fmt::format("the NVIDIA driver does not start (CUresult {}); nvidia-smi may tell why", status);
}

}  // namespace

const std::string& why_no_cuda_driver() {
  static const std::string once = ask();
  return once;
}

}  // namespace convoy
