// The cpu backend's kernels in bf16 and f16 against the reference, and what the two types promise.
#include <gtest/gtest.h>

#include <cstring>

#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/onednn.h"
#include "core/backend/cpu/widened.h"
#include "core/backend/parity_cases.h"
#include "core/random/philox.h"
#include "core/tensor/narrow.h"

namespace convoy::test {
namespace {

std::vector<ParityFamily> memory_bound_families() {
  std::vector<ParityFamily> all;
  for (const auto& make : {pool_families, batch_norm_families, global_batch_norm_families, elementwise_families, chain_families, channel_families, data_families, row_families, resample_families})
    for (const ParityFamily& family : make()) all.push_back(family);
  return all;
}

class CpuNarrow : public testing::TestWithParam<DType> {
 protected:
  const std::unique_ptr<Backend> backend_ = make_cpu_backend();

  void expect_parity_of(const std::vector<ParityFamily>& families) const {
    for (const ParityFamily& family : families)
      for (const ParityCase& c : family) expect_parity(*backend_, c, GetParam());
  }
};

TEST_P(CpuNarrow, ConvEqualsTheReferenceOverTheGridOfAttributes) { expect_parity_of(conv_grid()); }
TEST_P(CpuNarrow, ConvEqualsTheReferenceOnTheLayersOfRealNetworks) { expect_parity_of(conv_layers()); }
TEST_P(CpuNarrow, DenseEqualsTheReference) { expect_parity_of(dense_families()); }
TEST_P(CpuNarrow, PoolEqualsTheReference) { expect_parity_of(pool_families()); }
TEST_P(CpuNarrow, BatchNormEqualsTheReference) { expect_parity_of(batch_norm_families()); }
TEST_P(CpuNarrow, GlobalBatchNormEqualsTheReference) { expect_parity_of(global_batch_norm_families()); }
TEST_P(CpuNarrow, ElementsEqualTheReference) { expect_parity_of(elementwise_families()); }
TEST_P(CpuNarrow, ChainsEqualTheReference) { expect_parity_of(chain_families()); }
TEST_P(CpuNarrow, ChannelsEqualTheReference) { expect_parity_of(channel_families()); }
TEST_P(CpuNarrow, LossesAreWideAndEqualTheReference) { expect_parity_of(loss_families()); }
TEST_P(CpuNarrow, PrepareAndDropoutEqualTheReference) { expect_parity_of(data_families()); }
TEST_P(CpuNarrow, RowsEqualTheReference) { expect_parity_of(row_families()); }
TEST_P(CpuNarrow, ResamplingEqualsTheReference) { expect_parity_of(resample_families()); }
TEST_P(CpuNarrow, UpdatesEqualTheReference) { expect_parity_of(update_families()); }

TEST_P(CpuNarrow, GivesTheSameBitsOnAnyThreadAndBesideOthers) {
  for (const auto& families : {memory_bound_families(), dense_families(), conv_layers()})
    for (const ParityFamily& family : families)
      for (const ParityCase& c : family) expect_same_bits_anywhere(*backend_, c, GetParam());
}

TEST_P(CpuNarrow, GivesTheSameBitsInPlace) {
  for (const ParityFamily& family : memory_bound_families())
    for (const ParityCase& c : family) expect_same_bits_in_place(*backend_, c, GetParam());
}

TEST_P(CpuNarrow, GivesTheSameBitsOnAnyNumberOfThreads) {
  for (const ParityFamily& family : memory_bound_families())
    for (const ParityCase& c : family) {
      const std::vector<Tensor> one = run_single(*backend_, c, 1, GetParam()), three = run_single(*backend_, c, 3, GetParam());
      for (std::size_t i = 0; i < one.size(); ++i)
        EXPECT_EQ(std::memcmp(one[i].bytes(), three[i].bytes(), one[i].size_bytes()), 0)
            << c.name << ", " << op_def(c.kind).name << ", result " << i;
    }
}

/// The f32 kernel between casts: what every kernel of narrow operands must equal to the last bit.
class Widened final : public Backend {
 public:
  std::string_view name() const override { return "f32 between casts"; }
  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int threads, std::string* reasons) const override {
    auto kernel = wide_->try_bind(cpu::widened(op), threads, reasons);
    return kernel ? cpu::make_widened(op, std::move(kernel), threads) : nullptr;
  }
  Device& device() const override { return wide_->device(); }
  std::vector<std::pair<std::string, std::string>> identity() const override { return {}; }

 private:
  std::unique_ptr<Backend> wide_ = make_cpu_backend();
};

TEST_P(CpuNarrow, RoundsAResultOnceAndNothingInBetween) {
  const Widened widened;
  for (const ParityFamily& family : memory_bound_families())
    for (const ParityCase& c : family) {
      if (c.kind == OpKind::cast) continue;  // between f32 and f32 nothing would be rounded
      if (c.kind == OpKind::elementwise_chain) continue;  // every step rounds
      const std::vector<Tensor> own = run_single(*backend_, c, 1, GetParam()), wide = run_single(widened, c, 1, GetParam());
      for (std::size_t i = 0; i < own.size(); ++i)
        EXPECT_EQ(std::memcmp(own[i].bytes(), wide[i].bytes(), own[i].size_bytes()), 0)
            << c.name << ", " << op_def(c.kind).name << ", result " << i;
    }
}

TEST_P(CpuNarrow, CastsEveryPatternOf16BitsWithTheBitsOfTheSharedFunctions) {
  const DType t = GetParam();
  const std::int64_t n = 65536 + 65536;
  Tensor narrow({n}, t), wide({n}, DType::f32), back({n}, t), floats({n}, DType::f32);
  auto* patterns = reinterpret_cast<std::uint16_t*>(narrow.bytes());
  for (std::int64_t i = 0; i < n; ++i) patterns[i] = static_cast<std::uint16_t>(i);
  const RandomKey key(7, "patterns of floats");
  for (std::int64_t i = 0; i < n; ++i) {  // any bits: subnormals, infinities, NaNs too; and ties of both types
    const std::uint32_t word = key.word(static_cast<std::uint64_t>(i));
    floats.values<float>()[static_cast<std::size_t>(i)] =
        float_of_bits(i % 3 == 0 ? word : i % 3 == 1 ? word & 0xffff8000u : word & 0xfffff000u);
  }
  const auto run = [&](Tensor& from, Tensor& to) {
    const OpDesc op{OpKind::cast, CastAttributes{to.dtype()}, {{from.shape(), from.dtype()}}, {{to.shape(), to.dtype()}}, {}};
    std::vector<void*> inputs{from.bytes()}, outputs{to.bytes()};
    backend_->bind(op, 1)->run({inputs, outputs, nullptr});
  };
  run(narrow, wide);
  run(floats, back);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool bf = t == DType::bf16;
    const float expected = bf ? to_float(Bf16{patterns[i]}) : to_float(F16{patterns[i]});
    ASSERT_EQ(bits_of(wide.values<float>()[at]), bits_of(expected)) << "pattern " << i;
    const float x = floats.values<float>()[at];
    const std::uint16_t rounded = bf ? to_bf16(x).bits : to_f16(x).bits;
    ASSERT_EQ(reinterpret_cast<std::uint16_t*>(back.bytes())[i], rounded) << "float bits " << bits_of(x);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, CpuNarrow, testing::Values(DType::bf16, DType::f16),
                         [](const auto& which) { return std::string(name_of(which.param)); });

TEST(CpuBf16, MultipliesInBf16WhereTheProcessorCan) {
  const auto backend = make_cpu_backend();
  const ParityCase c = dense_families()[0][0];
  const std::string found = implementation_of(*backend, c, DType::bf16);
  if (onednn::isa().find("bf16") != std::string::npos || onednn::isa().find("amx") != std::string::npos)
    EXPECT_NE(found.find(" bf16"), std::string::npos) << found;
  else
    EXPECT_NE(found.find("+casts"), std::string::npos) << found;
}

}  // namespace
}  // namespace convoy::test
