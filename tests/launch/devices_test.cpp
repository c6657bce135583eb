#include "launch/train/devices.h"

#include <gtest/gtest.h>

#include "launch/expect_message.h"

namespace convoy {
namespace {

using Ordinals = std::vector<int>;

const CudaDevices kTwo{{"NVIDIA A", "NVIDIA B"}, {"GPU-a", "GPU-b"}, ""};
const CudaDevices kNone{{}, {}, "no NVIDIA driver is loaded"};

Config train(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--model.name=lenet-5", "--data.path=data/x"});
  return Config::parse("train", arguments);
}

/// As a command chooses by its own options.
std::optional<CudaOptions> choose(const Config& config, const Seats& seats, const CudaDevices& found) {
  return choose_device(config, seats, computation_of(config), found);
}

Config bench(std::vector<std::string> arguments) {
  arguments.push_back("--model=lenet-5");
  return Config::parse("bench step", arguments);
}

/// `ranks` on host "h", each of which may use `gpus`.
Seats seats(int ranks, const std::vector<std::string>& gpus, int rank) {
  return {std::vector<Seat>(static_cast<std::size_t>(ranks), Seat{"h", gpus}), rank};
}

TEST(TakeGpus, OneAfterTheOtherWhereAllSeeAll) {
  const std::vector<std::string> gpus{"a", "b", "c"};
  EXPECT_EQ(take_gpus({{"h", gpus}, {"h", gpus}, {"h", gpus}}, false), (Ordinals{0, 1, 2}));
  EXPECT_EQ(take_gpus({{"h", gpus}, {"i", gpus}, {"h", gpus}, {"i", gpus}}, false), (Ordinals{0, 0, 1, 1}));
}

TEST(TakeGpus, ItsOwnWhereASchedulerShowsOneEach) {
  EXPECT_EQ(take_gpus({{"h", {"a"}}, {"h", {"b"}}, {"h", {"c"}}}, false), (Ordinals{0, 0, 0}));
}

TEST(TakeGpus, WhatIsLeftWhereRanksSeeDifferentOnes) {
  EXPECT_EQ(take_gpus({{"h", {"a"}}, {"h", {"a", "b"}}}, false), (Ordinals{0, 1}));
}

TEST(TakeGpus, SharingIsAskedFor) {
  const std::vector<Seat> three(3, Seat{"node7", {"a", "b"}});
  EXPECT_USAGE_ERROR(take_gpus(three, false), "3 ranks on host node7", "2 GPUs", "--share-gpu");
  EXPECT_EQ(take_gpus(three, true), (Ordinals{0, 1, 0}));
}

TEST(ChooseDevice, AutoTakesAGpuWhereThereIsOne) {
  for (int rank = 0; rank < 2; ++rank) {
    const auto cuda = choose(train({}), seats(2, kTwo.ids, rank), kTwo);
    ASSERT_TRUE(cuda);
    EXPECT_EQ(cuda->ordinal, rank);
    EXPECT_FALSE(cuda->tf32);
    EXPECT_EQ(static_cast<bool>(cuda->tell), rank == 0) << "rank 0 speaks";
  }
}

TEST(ChooseDevice, AProcessAloneTakesTheFirst) { EXPECT_EQ(choose(train({}), {}, kTwo)->ordinal, 0); }

TEST(ChooseDevice, AutoFallsBackWithOneLineOfRankZero) {
  for (int rank = 0; rank < 2; ++rank) {
    testing::internal::CaptureStderr();
    EXPECT_FALSE(choose(train({}), seats(2, {}, rank), kNone));
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              rank == 0 ? "[device] computing on the cpu: no NVIDIA driver is loaded\n" : "");
  }
}

TEST(ChooseDevice, OtherCommandsThanTrainSpeakOnlyOfAGpuThatIsHalfThere) {
  testing::internal::CaptureStderr();
  EXPECT_FALSE(choose(bench({}), {}, kNone));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  EXPECT_FALSE(choose(bench({}), {}, {{}, {}, "libconvoy_cuda.so is cut off", true}));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "[device] computing on the cpu: libconvoy_cuda.so is cut off\n");
}

TEST(ChooseDevice, CudaWithoutAGpuIsAnError) {
  EXPECT_USAGE_ERROR(choose(train({"--device=cuda"}), {}, kNone), "--device=cuda", "no NVIDIA driver is loaded", "--device=cpu");
}

TEST(ChooseDevice, CpuNeverAsks) {
  testing::internal::CaptureStderr();
  EXPECT_FALSE(choose(train({"--device=cpu"}), {}, kTwo));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ChooseDevice, Tf32IsAGpus) {
  EXPECT_TRUE(choose(train({"--precision=tf32"}), {}, kTwo)->tf32);
  EXPECT_USAGE_ERROR(choose(train({"--precision=tf32"}), {}, kNone), "--precision=tf32", "no NVIDIA driver");
  EXPECT_USAGE_ERROR(choose(train({"--precision=tf32", "--device=cpu"}), {}, kTwo), "--precision=tf32", "--device=cpu");
}

TEST(ChooseDevice, ATrainedModelsPrecisionIsTakenWhereTheDeviceHasIt) {
  const Computation trained{.precision = "tf32", .of_trained_model = true};
  EXPECT_TRUE(choose_device(bench({}), {}, trained, kTwo)->tf32);
  EXPECT_FALSE(choose_device(bench({"--precision=tf32"}), {}, {.precision = "bf16", .of_trained_model = true}, kTwo)->tf32);
  testing::internal::CaptureStderr();
  EXPECT_FALSE(choose_device(bench({"--device=cpu"}), {}, trained, kTwo));
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "[device] the model was trained in tf32, which is a GPU's; the cpu computes it in fp32\n");
}

TEST(ChooseDevice, OptionsForGpusAreRefusedWithoutOne) {
  EXPECT_USAGE_ERROR(choose(train({"--share-gpu", "--device=cpu"}), {}, kTwo), "--share-gpu", "it is --device=cpu");
  EXPECT_USAGE_ERROR(choose(train({"--share-gpu"}), {}, kNone), "--share-gpu", "no NVIDIA driver is loaded");
  EXPECT_USAGE_ERROR(choose(train({"--distributed.transport=nccl"}), {}, kNone), "--distributed.transport=nccl", "no NVIDIA driver");
  EXPECT_FALSE(choose(train({"--distributed.transport=host", "--device=cpu"}), {}, kNone));
}

TEST(ChooseDevice, MoreRanksThanGpusIsAnErrorUnlessTheyShare) {
  EXPECT_USAGE_ERROR(choose(train({"--device=cuda"}), seats(3, kTwo.ids, 0), kTwo), "3 ranks", "2 GPUs");
  EXPECT_EQ(choose(train({"--share-gpu"}), seats(3, kTwo.ids, 2), kTwo)->ordinal, 0);
}

TEST(ChooseDevice, ThePlansLieInTheCache) {
  setenv("CONVOY_CACHE", "/some/where", 1);
  EXPECT_EQ(choose(train({}), {}, kTwo)->plan_cache, "/some/where");
  unsetenv("CONVOY_CACHE");
}

}  // namespace
}  // namespace convoy
