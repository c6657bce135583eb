#include "support/emulated_cuda.h"

#include "core/backend/cuda/cuda_backend.h"

namespace convoy::test {

std::unique_ptr<Backend> make_emulated_cuda_backend(int ordinal) {
  CudaOptions options;
  options.ordinal = ordinal;
  return cuda::make_backend(options);
}

void set_emulator_seed(std::uint64_t seed) { emulator::set_seed(seed); }

}  // namespace convoy::test
