// Bits of the cpu backend's kernels do not depend on who computes, when, or beside whom.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "core/backend/cpu/isa.h"
#include "core/backend/parity_cases.h"
#include "core/tensor/error.h"

namespace convoy::test {
namespace {

/// CTest runs these tests once more with the instruction set pinned.
class PinnedIsa : public testing::Environment {
 public:
  void SetUp() override {
    if (const char* isa = std::getenv("CONVOY_TEST_ISA")) {
      set_cpu_isa(isa);
      ASSERT_EQ(name_of(cpu_isa()), isa);
    }
  }
};
testing::Environment* const pinned_isa = testing::AddGlobalTestEnvironment(new PinnedIsa);

std::vector<ParityFamily> all_families() {
  std::vector<ParityFamily> all;
  for (const auto& make :
       {conv_grid, conv_layers, dense_families, pool_families, batch_norm_families, global_batch_norm_families, elementwise_families,
        chain_families, channel_families, loss_families, data_families, row_families, resample_families, update_families})
    for (const ParityFamily& family : make()) all.push_back(family);
  return all;
}

TEST(CpuKernels, GiveTheSameBitsOnAnyThreadAndBesideOthers) {
  const auto backend = make_cpu_backend();
  for (const ParityFamily& family : all_families())
    for (const ParityCase& c : family) expect_same_bits_anywhere(*backend, c);
}

/// oneDNN's kernels may share their work out otherwise for another number of threads; ours may not.
bool is_our_own(const std::string& implementation) {
  for (const char* own : {"avx2", "avx512", "vector:", "winograd:", "loop", "copy"})
    if (implementation.rfind(own, 0) == 0) return true;
  return false;
}

TEST(CpuKernels, OfOurOwnGiveTheSameBitsOnAnyNumberOfThreads) {
  const auto backend = make_cpu_backend();
  int convolutions = 0;
  for (const ParityFamily& family : all_families())
    for (const ParityCase& c : family) {
      if (!is_our_own(implementation_of(*backend, c))) continue;
      convolutions += c.kind == OpKind::conv;
      const std::vector<Tensor> one = run_single(*backend, c, 1), three = run_single(*backend, c, 3);
      for (std::size_t i = 0; i < one.size(); ++i)
        EXPECT_EQ(std::memcmp(one[i].bytes(), three[i].bytes(), one[i].size_bytes()), 0)
            << c.name << ", " << op_def(c.kind).name << ", result " << i;
    }
  EXPECT_GE(convolutions, 10);
}

TEST(CpuKernels, GiveTheSameBitsInPlace) {
  const auto backend = make_cpu_backend();
  for (const ParityFamily& family : all_families())
    for (const ParityCase& c : family) expect_same_bits_in_place(*backend, c);
}

TEST(CpuKernels, AddATermThatComesTwiceInPlace) {
  const TensorDesc real{{5000}, DType::f32};
  const auto kernel = make_cpu_backend()->bind({OpKind::add, {}, {real, real, real}, {real}, {}}, 1);
  ASSERT_TRUE(kernel->runs_in_place(0, 0));
  Tensor a(real.shape, real.dtype), b(real.shape, real.dtype);
  for (float& v : a.values<float>()) v = 1;
  for (float& v : b.values<float>()) v = 10;
  std::vector<void*> from{a.bytes(), b.bytes(), a.bytes()}, to{a.bytes()};
  kernel->run({from, to, nullptr});
  for (const float v : a.values<float>()) ASSERT_EQ(v, 12);
}

TEST(CpuBackend, NamesItsInstructionSetAndLibrary) {
  const auto identity = make_cpu_backend()->identity();
  ASSERT_EQ(identity.size(), 3u);
  EXPECT_EQ(identity[0].first, "isa");
  EXPECT_EQ(identity[0].second, name_of(cpu_isa()));
  EXPECT_EQ(identity[1].first, "onednn");
  EXPECT_NE(identity[1].second.find('.'), std::string::npos);
}

TEST(CpuBackend, RejectsAnUnknownInstructionSet) { EXPECT_THROW(set_cpu_isa("sse9"), UsageError); }

TEST(CpuBackend, DeclinesOperandsInDoublePrecision) {
  const auto backend = make_cpu_backend();
  const TensorDesc real{{2, 3}, DType::f64};
  const OpDesc op{OpKind::add, {}, {real, real}, {real}, {}};
  EXPECT_NE(backend->declines(op).find("float64"), std::string::npos);
  EXPECT_THROW(backend->bind(op, 1), UsageError);
}

TEST(CpuBackend, RejectsALabelBeyondTheClasses) {
  const ParityFamily softmax = loss_families()[1];
  ParityCase bad = softmax[0];
  bad.inputs[1] = bad.inputs[1].clone();
  bad.inputs[1].values<std::int32_t>()[2] = 10;
  EXPECT_THROW(run_single(*make_cpu_backend(), bad), DataError);
}

}  // namespace
}  // namespace convoy::test
