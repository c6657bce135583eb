#pragma once
// NVIDIA's devices, where there are some. The CUDA backend is a module (module.h): this file is all that the binary knows
// of it.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/backend/module.h"

namespace convoy {

struct CudaOptions {
  int ordinal = 0;                               // which device, as CUDA counts those that this process may see
  bool tf32 = false;                             // f32 convolutions and dense layers may round their factors to TF32
  std::filesystem::path plan_cache;              // folder that keeps timed plans between runs; empty: none
  std::function<void(const std::string&)> tell;  // news: a damaged cache, ...; null: nobody wants to hear
};

struct CudaDevices {
  std::vector<std::string> names;  // by ordinal: "NVIDIA H200"
  std::vector<std::string> ids;    // by ordinal: the same device has the same id in every process (its UUID)
  std::string why_none;            // one line, where names is empty: no driver, no device, no module
  bool half_there = false;         // names is empty, but the user has a GPU or named modules: why_none may be news
};

/// Asks the driver, and where it sees a device loads the module, at the first call. Throws nothing.
CudaDevices find_cuda_devices();

/// Throws UsageError where there is no such device, LibraryError where the device or a library fails.
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options);

/// What convoy_cuda_module() returns.
struct CudaModule {
  ModuleHead head;
  CudaDevices (*find_devices)();
  std::unique_ptr<Backend> (*make_backend)(const CudaOptions& options);
};

}  // namespace convoy
