// The CUDA backend against the reference: every family of cases, forward and backward, in every precision, each element of
// each result. Skipped where there is no device. CONVOY_PARITY_SEED draws other operands.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/backend/parity_cases.h"
#include "support/gpu_backend.h"
#include "support/gpu_device.h"
#include "support/repeated_step.h"
#include "support/tensor_cores.h"

namespace convoy::test {
namespace {

struct Precision {
  const char* name;
  DType compute;
  bool tf32;
};
constexpr Precision kPrecisions[] = {
    {"fp32", DType::f32, false}, {"tf32", DType::f32, true}, {"bf16", DType::bf16, false}, {"fp16", DType::f16, false}};

/// A share of a list of families in one precision.
struct Share {
  const char* name;
  std::vector<ParityFamily> (*families)();
  Precision precision;
  std::size_t index = 0, count = 1;
};

void PrintTo(const Precision& precision, std::ostream* out) { *out << precision.name; }
void PrintTo(const Share& share, std::ostream* out) {
  *out << share.name << " " << share.precision.name << ", share " << share.index + 1 << " of " << share.count;
}

std::vector<Share> shares(const char* name, std::vector<ParityFamily> (*families)(), std::size_t count) {
  std::vector<Share> all;
  for (const Precision& precision : kPrecisions)
    for (std::size_t index = 0; index < count; ++index) all.push_back({name, families, precision, index, count});
  return all;
}

std::string name_of_share(const testing::TestParamInfo<Share>& info) {
  return std::string(info.param.name) + "_" + info.param.precision.name + "_" + std::to_string(info.param.index);
}

class GpuParity : public testing::TestWithParam<Share> {};

TEST_P(GpuParity, EqualsTheReference) {
  const Share& share = GetParam();
  const GpuBackend gpu = gpu_backend(share.precision.tf32);
  CONVOY_NEEDS_DEVICE(gpu.reason);
  const std::vector<ParityFamily> families = share.families();
  int compared = 0;
  for (std::size_t i = share.index; i < families.size(); i += share.count)
    for (const ParityCase& c : families[i]) {
      const bool on_tensor_cores = share.precision.tf32 || share.precision.compute != DType::f32;
      expect_parity(*gpu.backend, on_tensor_cores ? for_tensor_cores(c, share.precision.tf32) : c, share.precision.compute);
      ++compared;
    }
  EXPECT_GT(compared, 0) << "an empty share compares nothing";
}

TEST_P(GpuParity, GivesTheSameBitsEveryTime) {
  const Share& share = GetParam();
  const GpuBackend gpu = gpu_backend(share.precision.tf32);
  CONVOY_NEEDS_DEVICE(gpu.reason);
  const std::vector<ParityFamily> families = share.families();
  for (std::size_t i = share.index; i < families.size(); i += share.count)
    for (const ParityCase& c : families[i]) expect_same_bits_again(*gpu.backend, c, share.precision.compute, 5);
}

class GpuNotANumber : public testing::TestWithParam<Precision> {};

TEST_P(GpuNotANumber, SurvivesEveryActivationAndPool) {
  const GpuBackend gpu = gpu_backend(GetParam().tf32);
  CONVOY_NEEDS_DEVICE(gpu.reason);
  for (const ParityFamily& family : not_a_number_families())
    for (const ParityCase& c : family) expect_not_a_number(*gpu.backend, c, GetParam().compute);
}

INSTANTIATE_TEST_SUITE_P(Precisions, GpuNotANumber, testing::ValuesIn(kPrecisions),
                         [](const auto& test) { return std::string(test.param.name); });

class GpuStep : public testing::TestWithParam<std::pair<const char*, Precision>> {};

TEST_P(GpuStep, GivesTheSameBitsTwentyTimes) {
  const auto& [model, precision] = GetParam();
  const GpuBackend gpu = gpu_backend(precision.tf32);
  CONVOY_NEEDS_DEVICE(gpu.reason);
  expect_same_step(*gpu.backend, small_task(model, precision.compute), 20);
}

INSTANTIATE_TEST_SUITE_P(Networks, GpuStep, testing::ValuesIn([] {
                           std::vector<std::pair<const char*, Precision>> all;
                           for (const char* model : {"lenet-5", "resnet-20"})
                             for (const Precision& precision : kPrecisions) all.emplace_back(model, precision);
                           return all;
                         }()),
                         [](const auto& test) {
                           std::string name = std::string(test.param.first) + "_" + test.param.second.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
INSTANTIATE_TEST_SUITE_P(Kernels, GpuParity, testing::ValuesIn([] {
                           std::vector<Share> all;
                           for (const auto& [name, families] :
                                {std::pair{"pool", &pool_families}, {"batch_norm", &batch_norm_families},
                                 {"elementwise", &elementwise_families}, {"chains", &chain_families},
                                 {"channels", &channel_families},
                                 {"losses", &loss_families}, {"data", &data_families}, {"rows", &row_families}, {"resample", &resample_families},
                                 {"updates", &update_families}})
                             for (const Share& share : shares(name, families, 1)) all.push_back(share);
                           return all;
                         }()),
                         name_of_share);
INSTANTIATE_TEST_SUITE_P(ConvGrid, GpuParity, testing::ValuesIn(shares("conv_grid", &conv_grid, 8)), name_of_share);
INSTANTIATE_TEST_SUITE_P(ConvLayers, GpuParity, testing::ValuesIn(shares("conv_layers", &conv_layers, 4)), name_of_share);
INSTANTIATE_TEST_SUITE_P(Dense, GpuParity, testing::ValuesIn(shares("dense", &dense_families, 1)), name_of_share);

}  // namespace
}  // namespace convoy::test
