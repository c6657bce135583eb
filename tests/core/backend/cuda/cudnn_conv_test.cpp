// What cuDNN says of convolutions on devices that are described, not there: its heuristics and its plans need none.
#include "core/backend/cuda/cudnn_conv.h"

#include <gtest/gtest.h>

#include <string>

#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

constexpr std::size_t kWorkspace = std::size_t{1} << 30;

/// cuDNN's description of a device, as cudnnBackendGetAttribute writes it where there is one (figures of NVIDIA's data sheets
/// and CUDA's table of compute capabilities).
struct Described {
  const char* name;
  int capability, multiprocessors, shared_memory, clock_khz, memory_clock_khz, cache;
};
constexpr Described kA100{"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 1410000, 1593000, 41943040};
constexpr Described kH100{"NVIDIA H100 80GB HBM3", 900, 132, 232448, 1980000, 2619000, 52428800};

Descriptor device(const Described& d) {
  const auto number = [](const char* name, std::int64_t value) { return ", \"" + std::string(name) + "\": " + std::to_string(value); };
  const std::string text =
      "{\"deviceName\": \"" + std::string(d.name) + "\", \"maxGridSize\": [2147483647, 65535, 65535], " +
      "\"maxBlockSize\": [1024, 1024, 64]" + number("deviceVer", d.capability) + number("driverVer", 13000) +
      number("multiProcessorCount", d.multiprocessors) + number("maxSharedMemoryPerBlock", 49152) +
      number("maxSharedMemoryPerBlockOptin", d.shared_memory) + number("reservedSharedMemoryPerBlock", 1024) +
      number("smClockRateKHz", d.clock_khz) + number("memClockRateKHz", d.memory_clock_khz) + number("l2CacheSize", d.cache) +
      number("regsPerBlock", 65536) + number("maxRegistersPerSM", 65536) + number("maxCtasPerSM", 32) +
      number("maxThreadsPerBlock", 1024) + number("maxThreadsPerSM", 2048) + number("warpSize", 32) + number("pciDeviceId", 0) +
      number("cudaDeviceId", 0) + number("isTccDriver", 0) + number("supportCoopLaunch", 1) +
      number("totalGlobalMem", 85899345920) + "}";
  Descriptor described(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  described.set_all(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    std::vector<char>(text.c_str(), text.c_str() + text.size() + 1));
  described.finalize();
  return described;
}

struct Named {
  const char* name;
  ConvProblem problem;
};

/// Layers of networks, and what distinguishes convolutions.
std::vector<Named> problems() {
  const ConvProblem plain{.n = 16, .c = 64, .o = 128, .in = {1, 28, 28}, .out = {1, 28, 28}, .kernel = {1, 3, 3},
                          .pad_low = {0, 1, 1}, .pad_high = {0, 1, 1}};
  std::vector<Named> all{{"3x3", plain}};
  const auto add = [&](const char* name, auto change) {
    ConvProblem p = plain;
    change(p);
    all.push_back({name, p});
  };
  add("1x1", [](auto& p) { p.kernel = {1, 1, 1}, p.pad_low = p.pad_high = {}; });
  add("strided, padded on one side", [](auto& p) { p.stride = {1, 2, 2}, p.out = {1, 14, 14}, p.pad_low = {}; });
  add("dilated", [](auto& p) { p.dilation = {1, 2, 2}, p.pad_low = p.pad_high = {0, 2, 2}; });
  add("groups", [](auto& p) { p.groups = 4; });
  add("depthwise", [](auto& p) { p.groups = p.o = 64; });
  add("first layer, padded to 8 channels", [](auto& p) { p.c = 8; });
  add("one image of one row", [](auto& p) { p.n = 1, p.in = {1, 1, 20}, p.out = {1, 1, 20}, p.kernel = {1, 1, 3}, p.pad_low = p.pad_high = {0, 0, 1}; });
  add("LeNet's first", [](auto& p) { p.c = 1, p.o = 6, p.kernel = {1, 5, 5}, p.pad_low = p.pad_high = {0, 2, 2}; });
  add("odd channels", [](auto& p) { p.c = 33, p.o = 17; });
  add("volume", [](auto& p) { p.axes = 3, p.n = 2, p.in = p.out = {8, 28, 28}, p.kernel = {3, 3, 3}, p.pad_low = p.pad_high = {1, 1, 1}; });
  return all;
}

struct Arithmetic {
  const char* name;
  DType data;
  bool tf32;
};
constexpr Arithmetic kArithmetic[] = {
    {"f32", DType::f32, false}, {"tf32", DType::f32, true}, {"bf16", DType::bf16, false}, {"f16", DType::f16, false}};

class CudnnConvOn : public testing::TestWithParam<Described> {
 protected:
  void SetUp() override {
    if (cudnnGetVersion() < 90800) GTEST_SKIP() << "cuDNN describes devices from 9.8 on; this is " << cudnnGetVersion();
  }
};

TEST_P(CudnnConvOn, EveryGradientAndEveryPlainConvolutionHasAPlan) {
  const Descriptor described = device(GetParam());
  for (const Arithmetic& arithmetic : kArithmetic) {
    for (auto [name, problem] : problems()) {
      problem.data = arithmetic.data;
      problem.tf32 = arithmetic.tf32;
      for (const auto direction : {ConvDirection::forward, ConvDirection::backward_data, ConvDirection::backward_filters}) {
        problem.direction = direction;
        const CudnnConv conv(nullptr, problem, &described);
        const auto engines = conv.candidates(8);
        int plans = 0;
        for (const CudnnEngine& engine : engines) plans += conv.build(engine, kWorkspace) != nullptr;
        EXPECT_GT(plans, 0) << arithmetic.name << ", " << name << ": " << key_of(problem) << ", " << engines.size() << " engines";
      }
    }
  }
}

TEST_P(CudnnConvOn, BiasIsFusedInEveryType) {
  const Descriptor described = device(GetParam());
  for (const Arithmetic& arithmetic : kArithmetic) {
    ConvProblem problem = problems().front().problem;
    problem.data = arithmetic.data;
    problem.tf32 = arithmetic.tf32;
    problem.bias = true;
    const CudnnConv conv(nullptr, problem, &described);
    const auto engines = conv.candidates(1);
    ASSERT_EQ(engines.size(), 1u) << key_of(problem);
    EXPECT_NE(conv.build(engines.front(), kWorkspace), nullptr) << key_of(problem);
  }
}

TEST_P(CudnnConvOn, AnEngineMadeOfItsTextIsTheSame) {
  const Descriptor described = device(GetParam());
  ConvProblem problem = problems().front().problem;
  problem.data = DType::bf16;
  const CudnnConv conv(nullptr, problem, &described);
  for (const CudnnEngine& engine : conv.candidates(8)) {
    const auto again = CudnnEngine::from_text(engine.text());
    ASSERT_TRUE(again) << engine.text();
    EXPECT_EQ(*again, engine);
    EXPECT_NE(conv.build(*again, kWorkspace), nullptr) << engine.text();
  }
}

TEST_P(CudnnConvOn, ExactF32RefusesTheEnginesOfTf32) {
  const Descriptor described = device(GetParam());
  ConvProblem problem = problems().front().problem;
  const CudnnConv exact(nullptr, problem, &described);
  problem.tf32 = true;
  const CudnnConv rounded(nullptr, problem, &described);
  const auto engines = rounded.candidates(1);  // the heuristics' first choice runs on tensor cores
  ASSERT_EQ(engines.size(), 1u);
  EXPECT_NE(rounded.build(engines.front(), kWorkspace), nullptr);
  EXPECT_EQ(exact.build(engines.front(), kWorkspace), nullptr);
}

TEST_P(CudnnConvOn, RefusesAWorkspaceAboveTheLimitAndAnEngineThatThereIsNot) {
  const Descriptor described = device(GetParam());
  const CudnnConv conv(nullptr, problems().front().problem, &described);
  bool wanted_any = false;
  for (const CudnnEngine& engine : conv.candidates(8)) {
    const auto plan = conv.build(engine, kWorkspace);
    if (plan == nullptr || plan->workspace_bytes() == 0) continue;
    wanted_any = true;
    EXPECT_EQ(conv.build(engine, plan->workspace_bytes() - 1), nullptr);
  }
  EXPECT_TRUE(wanted_any);
  EXPECT_EQ(conv.build({.index = 100000, .knobs = {}}, kWorkspace), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Devices, CudnnConvOn, testing::Values(kA100, kH100), [](const auto& described) {
  return described.param.capability == 800 ? std::string("A100") : std::string("H100");
});

TEST(CudnnConv, TellsInCudnnsWordsWhatIsNoConvolution) {
  ConvProblem problem = problems().front().problem;
  problem.out[2] = 27;
  try {
    const CudnnConv conv(nullptr, problem);
    ADD_FAILURE() << "took " << key_of(problem);
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("CUDNN_STATUS_BAD_PARAM"), std::string::npos) << error.what();
  }
}

TEST(CudnnEngine, RefusesTextThatIsNoEngine) {
  EXPECT_TRUE(CudnnEngine::from_text("engine=3 knobs="));
  for (const char* text : {"", "engine=", "engine=3", "engine=x knobs=", "engine=3 knobs=1", "engine=3 knobs=1:", "engine=3 knobs=1:2,",
                           "engine=3 knobs=1:2 ", "engine=3 knobs=1:2;3:4", " engine=3 knobs="})
    EXPECT_FALSE(CudnnEngine::from_text(text)) << text;
}

}  // namespace
}  // namespace convoy::cuda
