#pragma once
// The cuda backend with its device on the CPU: the same sources on an emulated CUDA runtime (cuda_emulator/). NVIDIA's
// libraries alone are missing: convolutions and dense layers are computed by our own kernels.
#include <cstdint>
#include <memory>

#include "core/backend/backend.h"

namespace convoy::test {

/// Its streams run late, and in an order that is drawn from the seed (CONVOY_TEST_SEED).
std::unique_ptr<Backend> make_emulated_cuda_backend(int ordinal = 0);
/// Threads, blocks and streams run in another order from here on. The same bits must come out.
void set_emulator_seed(std::uint64_t seed);

}  // namespace convoy::test
