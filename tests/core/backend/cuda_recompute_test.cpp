// Activations made again on the emulated device.
#include <gtest/gtest.h>

#include "support/emulated_cuda.h"
#include "support/repeated_step.h"

namespace convoy::test {
namespace {

TEST(CudaRecompute, ChangesNoBitOfASmallDenseNet) {
  const auto backend = make_emulated_cuda_backend();
  for (const DType compute : {DType::f32, DType::bf16}) {
    Task task = small_task("densenet-bc-16-4", compute);
    task.micro_batch = 2;
    task.image = {8, 8, 1};
    expect_same_bits_recomputed(*backend, task);
  }
}

}  // namespace
}  // namespace convoy::test
