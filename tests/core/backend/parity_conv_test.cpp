// The cpu backend's convolutions and dense layers against the reference.
#include <gtest/gtest.h>

#include "core/backend/parity_cases.h"

namespace convoy::test {
namespace {

void expect_parity(const std::vector<ParityFamily>& families) {
  const auto backend = make_cpu_backend();
  for (const ParityFamily& family : families)
    for (const ParityCase& c : family) expect_parity(*backend, c);
}

TEST(CpuConv, EqualsTheReferenceOverTheGridOfAttributes) { expect_parity(conv_grid()); }
TEST(CpuConv, EqualsTheReferenceOnTheLayersOfRealNetworks) { expect_parity(conv_layers()); }
TEST(CpuDense, EqualsTheReference) { expect_parity(dense_families()); }

}  // namespace
}  // namespace convoy::test
