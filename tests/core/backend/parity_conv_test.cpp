// The cpu backend's convolutions and dense layers against the reference: as the backend chooses, and every
// candidate on all that it takes.
#include <gtest/gtest.h>

#include "core/backend/cpu/kernels.h"
#include "core/backend/parity_cases.h"
#include "core/tensor/error.h"

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

/// A backend that has one way to compute anything.
class OneCandidate final : public Backend {
 public:
  using Bind = std::unique_ptr<Kernel> (*)(const OpDesc&, int, std::string*);
  explicit OneCandidate(Bind how) : bind_(how) {}
  std::string_view name() const override { return "one candidate"; }
  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int threads, std::string* reasons) const override {
    return bind_(op, threads, reasons);
  }
  Device& device() const override { return *device_; }
  std::vector<std::pair<std::string, std::string>> identity() const override { return {}; }

 private:
  Bind bind_;
  std::unique_ptr<Device> device_ = make_host_device();
};

/// Compares all cases that the candidate takes; returns how many these are, of how many.
std::pair<int, int> compare_taken(OneCandidate::Bind bind, const std::vector<ParityFamily>& families) {
  const OneCandidate backend(bind);
  std::pair<int, int> taken{0, 0};
  for (const ParityFamily& family : families)
    for (const ParityCase& c : family) {
      ++taken.second;
      if (!declined(backend, c).empty()) continue;
      ++taken.first;
      expect_parity(backend, c);
    }
  return taken;
}

TEST(CpuConv, LoopsTakeEverything) {
  const auto [taken, all] = compare_taken(cpu::bind_conv_loop, conv_grid());
  EXPECT_EQ(taken, all);
}

TEST(CpuConv, OneDnnTakesNearlyTheWholeGrid) {
  const auto [taken, all] = compare_taken(cpu::bind_conv_onednn, conv_grid());
  EXPECT_GE(taken, all * 9 / 10);  // versions differ in what they have fast code for
}

TEST(CpuConv, OneDnnTakesTheLayersOfRealNetworks) {
  const auto [taken, all] = compare_taken(cpu::bind_conv_onednn, conv_layers());
  EXPECT_EQ(taken, all);
}

TEST(CpuConv, WinogradTakesWideLayersOfStrideOne) {
  const auto [taken, all] = compare_taken(cpu::bind_conv_winograd, conv_layers());
  EXPECT_GE(taken, 6);
  EXPECT_LT(taken, all);
}

TEST(CpuConv, DenseTakesKernelsAsLargeAsTheirImage) {
  EXPECT_EQ(compare_taken(cpu::bind_conv_dense, conv_layers()).first, 6);  // lenet-5's c5, for two batches
}

TEST(CpuDense, LoopsTakeEverything) {
  const auto [taken, all] = compare_taken(cpu::bind_dense_loop, dense_families());
  EXPECT_EQ(taken, all);
}

TEST(CpuDense, OneDnnTakesEverything) {
  const auto [taken, all] = compare_taken(cpu::bind_dense_onednn, dense_families());
  EXPECT_EQ(taken, all);
}

}  // namespace
}  // namespace convoy::test
