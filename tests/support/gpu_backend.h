#pragma once
// The CUDA backend of the first device, for tests; or why there is none.
#include <memory>
#include <string>

#include "core/backend/backend.h"

namespace convoy::test {

struct GpuBackend {
  std::unique_ptr<Backend> backend;
  std::string reason;   // one line, where backend is null
};

/// Plans are kept in $CONVOY_CACHE where that is set.
GpuBackend gpu_backend(bool tf32);

}  // namespace convoy::test
