#include "support/gpu_backend.h"

#include <cstdlib>

#include "core/backend/cuda_module.h"
#include "support/gpu_device.h"

namespace convoy::test {

GpuBackend gpu_backend(bool tf32) {
  // The modules lie beside the binary convoy, which is not where tests are.
  setenv("CONVOY_MODULES", CONVOY_BUILT_MODULES, 0);
  const CudaDevices devices = find_cuda_devices();
  if (devices.names.empty()) return {nullptr, devices.why_none};
  CudaOptions options;
  options.tf32 = tf32;
  options.plan_cache = from_environment("CONVOY_CACHE", "");
  return {make_cuda_backend(options), {}};
}

}  // namespace convoy::test
