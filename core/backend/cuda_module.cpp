#include "core/backend/cuda_module.h"

#include <fmt/format.h>

#include "core/backend/cuda_driver.h"
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
  if (const std::string wrong = wrong_module_folder(); !wrong.empty()) return {{}, {}, wrong, true};
  if (const std::string& why = why_no_cuda_driver(); !why.empty()) return {{}, {}, why, false};
  if (loaded().module == nullptr) return {{}, {}, loaded().why_not, true};
  try {
    CudaDevices found = loaded().module->find_devices();
    found.half_there = found.names.empty();
    return found;
  } catch (const Error& error) {  // thrown in the module: the error types are one and the same by name
    return {{}, {}, error.what(), true};
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
