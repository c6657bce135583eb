// The cpu backend's other kernels against the reference, and the promise that bits do not depend on who
// computes.
#include <gtest/gtest.h>

#include "core/backend/parity_cases.h"
#include "support/fused_graph.h"

namespace convoy::test {
namespace {

void expect_parity(const std::vector<ParityFamily>& families) {
  const auto backend = make_cpu_backend();
  for (const ParityFamily& family : families)
    for (const ParityCase& c : family) expect_parity(*backend, c);
}

TEST(CpuPool, EqualsTheReference) { expect_parity(pool_families()); }
TEST(CpuBatchNorm, EqualsTheReference) { expect_parity(batch_norm_families()); }
TEST(CpuGlobalBatchNorm, EqualsTheReference) { expect_parity(global_batch_norm_families()); }
TEST(CpuElementwise, EqualsTheReference) { expect_parity(elementwise_families()); }
TEST(CpuChains, EqualTheReference) { expect_parity(chain_families()); }
TEST(CpuChannels, EqualTheReference) { expect_parity(channel_families()); }
TEST(CpuLosses, EqualTheReference) { expect_parity(loss_families()); }
TEST(CpuPrepareAndDropout, EqualTheReference) { expect_parity(data_families()); }
TEST(CpuNotANumber, SurvivesEveryActivationAndPool) {
  const auto backend = make_cpu_backend();
  for (const ParityFamily& family : not_a_number_families())
    for (const ParityCase& c : family)
      for (const DType compute : {DType::f32, DType::bf16, DType::f16}) expect_not_a_number(*backend, c, compute);
}
TEST(Fuse, ChangesNoBitOfResidualBlocksInF32) { expect_same_bits_fused(*make_cpu_backend(), DType::f32); }
TEST(Fuse, ChangesNoBitOfTheReference) { expect_same_bits_fused(*make_reference_backend(), DType::f64); }
TEST(CpuRows, EqualTheReference) { expect_parity(row_families()); }
TEST(CpuResample, EqualsTheReference) { expect_parity(resample_families()); }
TEST(CpuUpdates, EqualTheReference) { expect_parity(update_families()); }

}  // namespace
}  // namespace convoy::test
