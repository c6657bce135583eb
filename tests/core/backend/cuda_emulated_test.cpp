// The cuda backend's own kernels against the reference, on an emulated device: every op in f32, bf16 and f16; the same
// bits whatever order threads, blocks and streams run in; the same bits in place.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "core/backend/parity_cases.h"
#include "core/tensor/error.h"
#include "support/emulated_cuda.h"
#include "support/random_chains.h"

namespace convoy::test {
namespace {

/// Emulated threads are some hundred times slower than the CPU's own kernels: of each family the cases that stay below this
/// many multiply-adds and this many bytes of operands. What a case is there for (padding, strides, groups, odd sizes) shows
/// in small arrays too.
constexpr double kMostMultiplyAdds = 400e3, kMostBytes = 2e6;

struct Family {
  const char* name;
  std::vector<ParityFamily> (*make)();
  bool f32_alone = false;  // no op has operands of a narrow type
};
constexpr Family kFamilies[] = {
    {"conv_grid", conv_grid},
    {"conv_layers", conv_layers},
    {"dense", dense_families},
    {"pool", pool_families},
    {"batch_norm", batch_norm_families},
    {"elementwise", elementwise_families},
    {"chains", chain_families},
    {"channels", channel_families},
    {"losses", loss_families, true},
    {"data", data_families},
    {"rows", row_families},
    {"resample", resample_families},
    {"updates", update_families},
};

Cost cost(const ParityCase& c) {
  std::vector<TensorDesc> inputs;
  for (const Tensor& input : c.inputs) inputs.push_back({input.shape(), input.dtype()});
  return cost_of(c.kind, c.attributes, inputs, op_def(c.kind).infer(c.attributes, inputs));
}

std::vector<ParityCase> small_cases(const Family& family) {
  std::vector<ParityCase> cases;
  for (const ParityFamily& members : family.make())
    for (const ParityCase& c : members)
      if (const Cost found = cost(c); found.multiply_adds <= kMostMultiplyAdds && found.bytes <= kMostBytes)
        cases.push_back(c);
  return cases;
}

struct InType {
  Family family;
  DType compute;
  std::string name() const { return std::string(family.name) + "_" + std::string(name_of(compute)); }
};
void PrintTo(const InType& parameter, std::ostream* to) { *to << parameter.name(); }

std::vector<InType> all_in_types() {
  std::vector<InType> all;
  for (const Family& family : kFamilies)
    for (const DType compute : {DType::f32, DType::bf16, DType::f16})
      if (compute == DType::f32 || !family.f32_alone) all.push_back({family, compute});
  return all;
}

/// Of a program that computes in `compute`: kinds without operands of that type come in f32 alone.
bool comes_in(const ParityCase& c, DType compute) {
  if (compute == DType::f32 || c.kind == OpKind::weight_update || c.kind == OpKind::elementwise_chain) return true;
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    if (takes_narrow(c.kind, static_cast<int>(i))) return true;
  return c.kind == OpKind::prepare;
}

class CudaKernels : public testing::TestWithParam<InType> {
 protected:
  template <typename Check>
  void for_all_cases(const Check& check) {
    const auto& [family, compute] = GetParam();
    const auto backend = make_emulated_cuda_backend();
    int compared = 0;
    for (const ParityCase& c : small_cases(family)) {
      if (!comes_in(c, compute)) continue;
      ASSERT_EQ(declined(*backend, c, compute), "") << c.name << ", " << op_def(c.kind).name;
      SCOPED_TRACE(implementation_of(*backend, c, compute));
      check(*backend, c, compute);
      ++compared;
    }
    EXPECT_GT(compared, 0);
  }
};

TEST_P(CudaKernels, GiveWhatTheReferenceGives) {
  for_all_cases([](const Backend& backend, const ParityCase& c, DType compute) { expect_parity(backend, c, compute); });
}

TEST_P(CudaKernels, GiveTheSameBitsInAnyOrderOfThreads) {
  for_all_cases([](const Backend& backend, const ParityCase& c, DType compute) {
    set_emulator_seed(1);
    const std::vector<Tensor> first = run_single(backend, c, 1, compute);
    set_emulator_seed(2);
    const std::vector<Tensor> second = run_single(backend, c, 1, compute);
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_EQ(std::memcmp(first[i].bytes(), second[i].bytes(), first[i].size_bytes()), 0)
          << c.name << ", " << op_def(c.kind).name << ", result " << i;
  });
}

TEST_P(CudaKernels, GiveTheSameBitsInPlace) {
  for_all_cases([](const Backend& backend, const ParityCase& c, DType compute) {
    expect_same_bits_in_place(backend, c, compute);
  });
}

INSTANTIATE_TEST_SUITE_P(Emulated, CudaKernels, testing::ValuesIn(all_in_types()),
                         [](const auto& instance) { return instance.param.name(); });

TEST(CudaBackend, LetsNoActivationOrPoolHideWhatIsNotANumber) {
  const auto backend = make_emulated_cuda_backend();
  for (const ParityFamily& family : not_a_number_families())
    for (const ParityCase& c : family)
      for (const DType compute : {DType::f32, DType::bf16, DType::f16}) expect_not_a_number(*backend, c, compute);
}

TEST(CudaBackend, MeetsEveryKindOfTheFamiliesInSmallCases) {
  for (const Family& family : kFamilies) {
    std::set<OpKind> all, small;
    for (const ParityFamily& members : family.make())
      for (const ParityCase& c : members) all.insert(c.kind);
    for (const ParityCase& c : small_cases(family)) small.insert(c.kind);
    EXPECT_EQ(small, all) << family.name;
  }
}

TEST(CudaBackend, RunsRandomChainsWithTheBitsOfTheirOps) {
  const auto backend = make_emulated_cuda_backend();
  for (const DType type : {DType::f32, DType::bf16, DType::f16})
    for (unsigned seed = 0; seed < 40; ++seed) expect_same_bits_of_random_chains(*backend, type, seed);
}

TEST(CudaBackend, NamesItsDeviceAndVersions) {
  const auto backend = make_emulated_cuda_backend();
  EXPECT_EQ(backend->name(), "cuda");
  const auto identity = backend->identity();
  ASSERT_GE(identity.size(), 3u);
  EXPECT_EQ(identity[0], (std::pair<std::string, std::string>("device", "emulated device")));
  EXPECT_EQ(identity[1], (std::pair<std::string, std::string>("compute capability", "9.0")));
  EXPECT_EQ(identity[2], (std::pair<std::string, std::string>("cuda", "13.0")));
}

TEST(CudaBackend, DeclinesOperandsInDoublePrecision) {
  const auto backend = make_emulated_cuda_backend();
  const TensorDesc real{{2, 3}, DType::f64};
  const OpDesc op{OpKind::add, {}, {real, real}, {real}, {}};
  EXPECT_NE(backend->declines(op).find("float64"), std::string::npos);
  EXPECT_THROW(backend->bind(op, 1), UsageError);
}

TEST(CudaBackend, DeclinesDataOfTwoTypes) {
  const auto backend = make_emulated_cuda_backend();
  const TensorDesc wide{{2, 3}, DType::f32}, narrow{{2, 3}, DType::bf16};
  EXPECT_NE(backend->declines({OpKind::add, {}, {wide, narrow}, {wide}, {}}).find("data are of one type"),
            std::string::npos);
}

TEST(CudaBackend, DeclinesANarrowBias) {
  const auto backend = make_emulated_cuda_backend();
  const TensorDesc x{{2, 3}, DType::bf16}, b{{3}, DType::bf16};
  EXPECT_NE(backend->declines({OpKind::add_channels, {}, {x, b}, {x}, {}}).find("operand 1 of this kind is float32"),
            std::string::npos);
}

}  // namespace
}  // namespace convoy::test
