// The device reduction on the host's device, on ranks that are threads: every V of interest, 1 to 5 ranks.
#include "distributed/device_tree_reduction.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/tensor/error.h"
#include "device_reduction_checks.h"
#include "distributed/communicator_watch.h"
#include "reduction_checks.h"
#include "support/host_device_communicator.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

void check_on_threads(int ranks, const DeviceReductionCase& spec) {
  SCOPED_TRACE(std::to_string(ranks) + " ranks");
  on_ranks(ranks, [&](Communicator& world) {
    const auto device = make_host_device();
    check_device_reduction(
        world, *device,
        [&](const DeviceReductionOptions& options) {
          return make_device_tree_reduction(world, std::make_unique<HostDeviceCommunicator>(world), *device, options);
        },
        spec);
  });
}

class DeviceReducer : public testing::TestWithParam<int> {};

TEST_P(DeviceReducer, GivesTheTreesBitsOnAnyNumberOfRanks) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 5); ++ranks)
    check_on_threads(ranks, {.virtual_workers = GetParam(), .buckets = awkward_buckets(), .rounding = awkward_rounding()});
}

TEST_P(DeviceReducer, GivesTheTreesBitsWithoutRounding) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 5); ++ranks)
    check_on_threads(ranks, {.virtual_workers = GetParam(),
                             .buckets = awkward_buckets(),
                             .rounding = std::vector<SumRounding>(awkward_buckets().size()),
                             .captured = true});
}

INSTANTIATE_TEST_SUITE_P(VirtualWorkers, DeviceReducer, testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 12, 13));

TEST(DeviceReduction, SumsFastWithinRounding) {
  for (const int ranks : {1, 2, 3})
    check_on_threads(ranks, {.virtual_workers = 7,
                             .buckets = awkward_buckets(),
                             .rounding = std::vector<SumRounding>(awkward_buckets().size()),
                             .kind = ReductionKind::fast});
}

/// One rank's memory for one bucket.
struct OneBucket {
  explicit OneBucket(Device& device, std::size_t elements, SumRounding rounding = SumRounding::none)
      : memory(device.allocate(elements * sizeof(float))),
        bucket{{reinterpret_cast<float*>(memory.get())}, elements, rounding} {}
  DeviceMemory memory;
  DeviceBucket bucket;
};

TEST(DeviceReduction, HalvesTheBytesOfRoundedSums) {
  std::size_t sent[2] = {};
  for (const SumRounding rounding : {SumRounding::none, SumRounding::bf16}) {
    on_ranks(4, [&](Communicator& world) {
      const auto device = make_host_device();
      OneBucket one(*device, 4096, rounding);
      auto communicator = std::make_unique<HostDeviceCommunicator>(world);
      const HostDeviceCommunicator& counter = *communicator;
      const auto reduction = make_device_tree_reduction(world, std::move(communicator), *device,
                                                        {.virtual_workers = 4, .buckets = {one.bucket}});
      reduction->begin(0);
      reduction->bucket_ready(0);
      reduction->finish();
      if (world.rank() == 0) sent[rounding == SumRounding::bf16] = counter.sent_bytes;
    });
  }
  EXPECT_EQ(sent[0], 2U * 3 * 1024 * 4);  // 2 (R - 1) / R of the bucket
  EXPECT_EQ(sent[1], sent[0] / 2);
}

TEST(DeviceReduction, RefusesBucketsOutOfTurnAndStepsThatLackOne) {
  on_ranks(2, [](Communicator& world) {
    const auto device = make_host_device();
    OneBucket one(*device, 8), two(*device, 8);
    const auto reduction =
        make_device_tree_reduction(world, std::make_unique<HostDeviceCommunicator>(world), *device,
                                   {.virtual_workers = 2, .buckets = {one.bucket, two.bucket}});
    reduction->begin(3);
    EXPECT_THROW(reduction->finish(), Error);
    EXPECT_THROW(reduction->bucket_ready(1), Error);
  });
}

TEST(DeviceReduction, RefusesSumsThatDoNotFitTheTreeAndRoundingWhereTheLibraryAdds) {
  on_ranks(2, [](Communicator& world) {
    const auto device = make_host_device();
    OneBucket one(*device, 8), rounded(*device, 8, SumRounding::bf16);
    const auto make = [&](const DeviceReductionOptions& options) {
      return make_device_tree_reduction(world, std::make_unique<HostDeviceCommunicator>(world), *device, options);
    };
    // Leaves 0 and 1 | 2, 3 and 4: rank 1 holds the subtrees [2, 4) and [4, 5).
    if (world.rank() == 1) {
      EXPECT_THROW(make({.virtual_workers = 5, .buckets = {one.bucket}}), Error);
    }
    EXPECT_THROW(make({.kind = ReductionKind::fast, .virtual_workers = 2, .buckets = {rounded.bucket}}), UsageError);
    EXPECT_THROW(make({.virtual_workers = 1, .buckets = {one.bucket}}), UsageError);
  });
}

/// Healthy until told otherwise; its messages go nowhere.
class BreakableCommunicator final : public DeviceCommunicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  void begin_group() override {}
  void end_group() override {
    if (broken && aborted) throw LibraryError("the communicator was aborted");
  }
  void send(const void*, std::size_t, int, Stream) override {}
  void receive(void*, std::size_t, int, Stream) override {}
  void all_reduce_fast(float*, std::size_t, Stream) override {}
  bool can_be_captured() const override { return false; }
  std::string error() override { return broken ? "the cable was cut" : ""; }
  void abort() noexcept override { aborted = true; }
  std::string library_version() const override { return "none"; }
  std::atomic<bool> broken = false, aborted = false;
};

template <typename Condition>
bool comes_true(const Condition& condition) {
  for (int look = 0; look < 5000 && !condition(); ++look) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

TEST(CommunicatorWatch, AbortsABrokenCommunicatorAndTellsItsWords) {
  BreakableCommunicator communicator;
  const CommunicatorWatch watch(communicator, std::chrono::milliseconds(1));
  EXPECT_NO_THROW(watch.check());
  communicator.broken = true;
  ASSERT_TRUE(comes_true([&] { return communicator.aborted.load(); }));
  try {
    watch.check();
    FAIL() << "nothing was told";
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("the cable was cut"), std::string::npos) << error.what();
  }
}

TEST(CommunicatorWatch, LeavesAHealthyCommunicatorAlone) {
  BreakableCommunicator communicator;
  {
    const CommunicatorWatch watch(communicator, std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_NO_THROW(watch.check());
  }
  EXPECT_FALSE(communicator.aborted);
}

TEST(DeviceReduction, TellsWhatBrokeTheCommunicatorAndNotThatItWasAborted) {
  const auto world = make_thread_world(2);
  const auto device = make_host_device();
  OneBucket one(*device, 64);
  auto owned = std::make_unique<BreakableCommunicator>();
  BreakableCommunicator& communicator = *owned;
  const auto reduction = make_device_tree_reduction(*world[0], std::move(owned), *device,
                                                    {.virtual_workers = 2, .buckets = {one.bucket}});
  reduction->begin(1);
  communicator.broken = true;
  ASSERT_TRUE(comes_true([&] { return communicator.aborted.load(); }));
  for (const auto& call : {std::function<void()>([&] { reduction->bucket_ready(0); }), {[&] { reduction->check(); }},
                           {[&] { reduction->begin(2); }}}) {
    try {
      call();
      ADD_FAILURE() << "nothing was told";
    } catch (const LibraryError& error) {
      EXPECT_NE(std::string(error.what()).find("the cable was cut"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace convoy
