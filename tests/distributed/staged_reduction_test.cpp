// The reduction of devices through the host against the hosts' own.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "core/tensor/error.h"
#include "distributed/device_reduction.h"
#include "distributed/device_wait.h"
#include "distributed/fold_plan.h"
#include "distributed/tree.h"
#include "support/idle_device.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

constexpr std::int64_t kElements[] = {1, 1003, 37, 16};

float leaf_value(std::int64_t step, int leaf, std::size_t bucket, std::size_t i) {
  return static_cast<float>(std::sin(1.0 + 17.3 * leaf + 0.7 * static_cast<double>(i + 1009 * bucket) +
                                     0.31 * static_cast<double>(step)) *
                            std::ldexp(1.0, leaf % 9));
}

std::vector<float> leaf_of(std::int64_t step, int leaf, std::size_t bucket) {
  std::vector<float> values(static_cast<std::size_t>(kElements[bucket]));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = leaf_value(step, leaf, bucket, i);
  return values;
}

/// One rank's device with its sums, as the engine folds them.
struct Rank {
  Rank(Communicator& world, int leaves) : device(make_host_device()) {
    std::tie(first, last) = share_of(world.rank(), world.size(), 0, leaves);
    plan = make_fold_plan(first, last, leaves);
    const std::size_t subtrees = subtrees_inside(first, last, leaves).size();
    for (const std::int64_t count : kElements) {
      const auto elements = static_cast<std::size_t>(count);
      places.push_back(device->allocate(static_cast<std::size_t>(plan.places) * elements * sizeof(float)));
      DeviceBucket bucket{.sums = {}, .elements = elements};
      for (std::size_t place = 0; place < subtrees; ++place)
        bucket.sums.push_back(reinterpret_cast<float*>(places.back().get()) + place * elements);
      buckets.push_back(bucket);
    }
  }
  void fold(std::int64_t step) {
    for (std::int32_t i = 0; i < last - first; ++i)
      for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
        device->fold(Stream::compute, reinterpret_cast<float*>(places[bucket].get()),
                     leaf_of(step, first + i, bucket).data(), buckets[bucket].elements, {plan.rows.data(), plan.width, &i},
                     SumRounding::none);
  }
  std::unique_ptr<Device> device;
  int first = 0, last = 0;
  FoldPlan plan;
  std::vector<DeviceMemory> places;
  std::vector<DeviceBucket> buckets;
};

void expect_the_hosts_bits(Communicator& world, int leaves) {
  Rank rank(world, leaves);
  const auto reduction =
      make_staged_reduction(world, *rank.device, {.virtual_workers = leaves, .buckets = rank.buckets, .before_exchange = {}});
  const auto host = make_reducer(
      world, {.virtual_workers = leaves, .bucket_elements = {std::begin(kElements), std::end(kElements)}, .threads = 1});
  for (std::int64_t step = 1; step <= 3; ++step) {
    reduction->begin(step);
    rank.fold(step);
    for (int bucket = 0; bucket < static_cast<int>(rank.buckets.size()); ++bucket) reduction->bucket_ready(bucket);
    reduction->finish();
    host->begin(step);
    for (int leaf = rank.first; leaf < rank.last; ++leaf)
      for (std::size_t bucket = 0; bucket < rank.buckets.size(); ++bucket)
        host->bucket_ready(leaf, static_cast<int>(bucket), leaf_of(step, leaf, bucket).data());
    host->finish();
    for (int bucket = 0; bucket < static_cast<int>(rank.buckets.size()); ++bucket) {
      const std::span<const float> expected = host->result(bucket);
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(reduction->result(bucket)[i], expected[i]) << "bucket " << bucket << ", element " << i;
    }
  }
}

TEST(StagedReduction, GivesTheBitsOfTheHostsReduction) {
  for (const auto& [ranks, leaves] : {std::pair{1, 1}, {1, 8}, {2, 8}, {3, 8}, {4, 8}, {3, 7}, {5, 5}}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks, " << leaves << " micro-batches");
    on_ranks(ranks, [leaves = leaves](Communicator& world) { expect_the_hosts_bits(world, leaves); });
  }
}

TEST(StagedReduction, RefusesBucketsOutOfTurnAndAStepWithoutAllOfThem) {
  on_ranks(2, [](Communicator& world) {
    Rank rank(world, 4);
    const auto reduction =
        make_staged_reduction(world, *rank.device, {.virtual_workers = 4, .buckets = rank.buckets, .before_exchange = {}});
    reduction->begin(1);
    EXPECT_THROW(reduction->bucket_ready(1), Error);
    reduction->begin(1);
    reduction->bucket_ready(0);
    EXPECT_THROW(reduction->finish(), Error);
  });
}

TEST(StagedReduction, CallsTheFaultInjectionBeforeEveryExchange) {
  for (int ranks : {1, 2})
    on_ranks(ranks, [](Communicator& world) {
      Rank rank(world, 4);
      std::int64_t calls = 0;
      const auto reduction = make_staged_reduction(world, *rank.device, {.virtual_workers = 4,
                                                                         .buckets = rank.buckets,
                                                                         .before_exchange = [&](std::int64_t step) {
                                                                           EXPECT_EQ(step, 7);
                                                                           ++calls;
                                                                         }});
      reduction->begin(7);
      rank.fold(7);
      for (int bucket = 0; bucket < static_cast<int>(rank.buckets.size()); ++bucket) reduction->bucket_ready(bucket);
      reduction->finish();
      EXPECT_GE(calls, 1);
    });
}

TEST(DeviceWait, EndsByTheDeadlineAndNamesWhatItWaitsFor) {
  test::IdleDevice device;
  const auto event = device.make_event();
  int looks = 0;
  try {
    wait_until_done(device, *event, {.what = "gradient bucket 3", .step = 12, .deadline = std::chrono::milliseconds(20),
                                     .meanwhile = [&] { ++looks; }});
    FAIL() << "it did not throw";
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("gradient bucket 3 of step 12"), std::string::npos) << error.what();
  }
  EXPECT_GT(looks, 0);
}

}  // namespace
}  // namespace convoy
