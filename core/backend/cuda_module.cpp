#include "core/backend/cuda_module.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy {
namespace {

struct Loaded {
  const CudaModule* module = nullptr;
  std::string why_not;
};

const Loaded& loaded() {
  static const Loaded once = [] {
    const OpenedModule opened = open_module("convoy_cuda");
    // The head is the first member of a standard-layout struct.
    return Loaded{reinterpret_cast<const CudaModule*>(opened.head), opened.why_not};
  }();
  return once;
}

}  // namespace

CudaDevices find_cuda_devices() {
  if (loaded().module == nullptr) return {{}, {}, loaded().why_not};
  try {
    return loaded().module->find_devices();
  } catch (const Error& error) {  // thrown in the module: the error types are one and the same by name
    return {{}, {}, error.what()};
  }
}

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  const CudaDevices devices = find_cuda_devices();
  if (devices.names.empty()) throw UsageError(devices.why_none);
  if (options.ordinal < 0 || options.ordinal >= static_cast<int>(devices.names.size()))
    throw UsageError(fmt::format("there is no CUDA device {}; this process sees {}", options.ordinal, devices.names.size()));
  return loaded().module->make_backend(options);
}

}  // namespace convoy
