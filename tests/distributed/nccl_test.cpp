// The NCCL communicator and the reduction on it, on emulated devices whose streams run late: a wait that is missing between
// two streams, or between two calls of NCCL, gives other bits. Ranks are threads.
#include <gtest/gtest.h>

#include <thread>

#include "core/tensor/error.h"
#include "device_reduction_checks.h"
#include "distributed/bench_device_reduce.h"
#include "distributed/device_tree_reduction.h"
#include "distributed/device_wait.h"
#include "reduction_checks.h"
#include "support/emulated_cuda.h"
#include "support/emulated_nccl.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

using namespace std::chrono_literals;

void check_on_devices(int ranks, const DeviceReductionCase& spec) {
  SCOPED_TRACE(std::to_string(ranks) + " ranks, V = " + std::to_string(spec.virtual_workers));
  const int aborted_before = test::aborted_nccl_communicators();
  on_ranks(ranks, [&](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    Device& device = backend->device();
    check_device_reduction(
        world, device,
        [&](const DeviceReductionOptions& options) {
          return make_device_tree_reduction(world, test::make_emulated_nccl_communicator(world, device), device, options);
        },
        spec);
  });
  EXPECT_EQ(test::live_nccl_communicators(), 0);
  EXPECT_EQ(test::aborted_nccl_communicators(), aborted_before);  // each was destroyed in peace
}

class NcclReduction : public testing::TestWithParam<int> {};

TEST_P(NcclReduction, GivesTheTreesBitsOnAnyNumberOfRanks) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 4); ++ranks)
    check_on_devices(ranks, {.virtual_workers = GetParam(), .buckets = awkward_buckets(), .rounding = awkward_rounding()});
}

TEST_P(NcclReduction, GivesTheTreesBitsWhenCaptured) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 4); ++ranks)
    check_on_devices(ranks, {.virtual_workers = GetParam(),
                             .buckets = awkward_buckets(),
                             .rounding = awkward_rounding(),
                             .steps = 3,
                             .captured = true});
}

INSTANTIATE_TEST_SUITE_P(VirtualWorkers, NcclReduction, testing::Values(2, 3, 4, 7, 8));

TEST(NcclReductionOrders, GiveTheSameBits) {
  for (std::uint64_t seed = 2; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    test::set_emulator_seed(seed);
    check_on_devices(3, {.virtual_workers = 7, .buckets = {300, 40}, .rounding = {SumRounding::bf16, SumRounding::none}});
  }
}

TEST(NcclReductionFast, SumsWithinRounding) {
  for (const int ranks : {2, 3})
    check_on_devices(ranks, {.virtual_workers = 7,
                             .buckets = awkward_buckets(),
                             .rounding = std::vector<SumRounding>(awkward_buckets().size()),
                             .kind = ReductionKind::fast});
}

TEST(BenchDeviceReduce, MeasuresAndVerifiesEveryWay) {
  on_ranks(3, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    Device& device = backend->device();
    const auto results = bench_device_reduce(
        world, device,
        {.elements = 3001, .bucket_elements = 1500, .repetitions = 2, .rounding = SumRounding::bf16}, "ncclAllReduce",
        [&] { return test::make_emulated_nccl_communicator(world, device); });
    std::vector<std::string> names;
    for (const BenchReduceResult& result : results) {
      names.push_back(result.name);
      EXPECT_TRUE(result.verified) << result.name;
      EXPECT_GT(result.gigabytes_per_second, 0) << result.name;
    }
    EXPECT_EQ(names, (std::vector<std::string>{"deterministic", "deterministic bf16", "through the hosts", "ncclAllReduce"}));
  });
}

TEST(NcclCommunicator, NamesTheLibraryAndItsPlaceInTheWorld) {
  on_ranks(2, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    const auto communicator = test::make_emulated_nccl_communicator(world, backend->device());
    EXPECT_EQ(communicator->library_version(), "NCCL 2.28.9");
    EXPECT_EQ(communicator->rank(), world.rank());
    EXPECT_EQ(communicator->size(), 2);
    EXPECT_EQ(communicator->error(), "");
    std::byte byte{};
    EXPECT_THROW(communicator->send(&byte, 1, 1 - world.rank(), Stream::communication), Error);  // outside of a group
    world.barrier();
  });
}

TEST(NcclCommunicator, EndsByTheDeadlineWhereARankDoesNotComeToTheStart) {
  const int aborted_before = test::aborted_nccl_communicators();
  on_ranks(3, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    world.set_deadline(300ms);
    if (world.rank() == 2) {  // hears of the start, and goes no further
      char told[sizeof(char[128]) + 256];
      world.broadcast(told, sizeof told, 0);
      return;
    }
    try {
      test::make_emulated_nccl_communicator(world, backend->device());
      FAIL() << "started without rank 2";
    } catch (const PeerError& error) {
      EXPECT_NE(std::string(error.what()).find("the start of NCCL"), std::string::npos) << error.what();
    }
  });
  EXPECT_EQ(test::live_nccl_communicators(), 0);
  EXPECT_EQ(test::aborted_nccl_communicators(), aborted_before + 2);
}

/// A step whose exchange lacks rank 1, on rank 0; `meanwhile` is called while it waits.
void expect_library_error(Communicator& world, const std::function<void()>& meanwhile) {
  const auto backend = test::make_emulated_cuda_backend();
  Device& device = backend->device();
  const DeviceMemory memory = device.allocate(64 * sizeof(float));
  const DeviceBucket bucket{{reinterpret_cast<float*>(memory.get())}, 64};
  const auto reduction = make_device_tree_reduction(world, test::make_emulated_nccl_communicator(world, device), device,
                                                    {.virtual_workers = 2, .buckets = {bucket}});
  if (world.rank() == 1) {
    world.barrier();
    test::break_emulated_nccl(1, true);  // so that its goodbye does not wait for rank 0's
    return;
  }
  const auto done = device.make_event();
  reduction->begin(5);
  reduction->bucket_ready(0);
  reduction->finish();
  device.record(Stream::compute, *done);
  meanwhile();
  try {
    wait_until_done(device, *done, {.what = "the step", .step = 5, .deadline = 20s, .meanwhile = [&] { reduction->check(); }});
    ADD_FAILURE() << "the exchange ended without rank 1";
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("remote process exited"), std::string::npos) << error.what();
  }
  EXPECT_THROW(reduction->begin(6), LibraryError);
  world.barrier();
}

TEST(NcclCommunicator, AnErrorOfTheLibraryEndsTheWaitAndNothingHangs) {
  on_ranks(2, [](Communicator& world) {
    expect_library_error(world, [] { test::break_emulated_nccl(0, true); });
  });
  EXPECT_EQ(test::live_nccl_communicators(), 0);
  test::break_emulated_nccl(0, false);
  test::break_emulated_nccl(1, false);
}

TEST(NcclCommunicator, AnAbortFromAnotherThreadFreesAStreamThatWaitsForAPeer) {
  on_ranks(2, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    Device& device = backend->device();
    const auto communicator = test::make_emulated_nccl_communicator(world, device);
    if (world.rank() == 0) {
      const DeviceMemory memory = device.allocate(16);
      communicator->begin_group();
      communicator->receive(memory.get(), 16, 1, Stream::communication);
      communicator->end_group();
      std::thread other([&] {
        std::this_thread::sleep_for(50ms);
        communicator->abort();
      });
      device.synchronize(Stream::communication);  // would last for ever
      other.join();
      communicator->begin_group();
      communicator->receive(memory.get(), 16, 1, Stream::communication);
      EXPECT_THROW(communicator->end_group(), LibraryError);
    }
    world.barrier();
    if (world.rank() == 1) communicator->abort();  // rank 0 does not say goodbye
  });
  EXPECT_EQ(test::live_nccl_communicators(), 0);
}

/// A group that receives from rank 1 what that never sends.
void receive_in_vain(DeviceCommunicator& communicator, const DeviceMemory& memory) {
  communicator.begin_group();
  communicator.receive(memory.get(), 16, 1, Stream::communication);
  communicator.end_group();
}

/// Captures receive_in_vain `groups` times on the communication stream.
std::unique_ptr<Replay> capture_groups(Device& device, DeviceCommunicator& communicator, const DeviceMemory& memory,
                                       const std::function<void()>& between, int groups = 1) {
  const auto begun = device.make_event(), ended = device.make_event();
  return device.capture([&] {
    device.record(Stream::compute, *begun);
    device.wait(Stream::communication, *begun);
    for (int i = 0; i < groups; ++i) {
      if (i > 0) between();
      receive_in_vain(communicator, memory);
    }
    device.record(Stream::communication, *ended);
    device.wait(Stream::compute, *ended);
  });
}

TEST(NcclCommunicator, AnAbortDoesNotWaitForTheGraphsThatKeepTheCommunicator) {
  on_ranks(2, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    Device& device = backend->device();
    const auto communicator = test::make_emulated_nccl_communicator(world, device);
    if (world.rank() == 0) {
      const DeviceMemory memory = device.allocate(16);
      auto replay = capture_groups(device, *communicator, memory, nullptr);
      replay->launch();
      communicator->abort();
      EXPECT_EQ(communicator->error(), "");  // nor does what comes after it
      device.synchronize(Stream::compute);   // the message that never comes is given up
      replay.reset();
    }
    world.barrier();
    if (world.rank() == 1) communicator->abort();
  });
  EXPECT_EQ(test::live_nccl_communicators(), 0);
}

TEST(NcclCommunicator, AWaitThatFailsInsideACaptureEndsTheCaptureByItsDeadline) {
  on_ranks(2, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    Device& device = backend->device();
    const auto communicator = test::make_emulated_nccl_communicator(world, device);
    world.set_deadline(300ms);
    if (world.rank() == 0) {
      const DeviceMemory memory = device.allocate(16);
      EXPECT_THROW(capture_groups(device, *communicator, memory, [] { test::stall_emulated_nccl(0, true); }, 2), PeerError);
      test::stall_emulated_nccl(0, false);
    }
    world.set_deadline(20s);
    world.barrier();
    if (world.rank() == 1) communicator->abort();
  });
  EXPECT_EQ(test::live_nccl_communicators(), 0);
}

TEST(NcclCommunicator, ItsDestructorWaitsForAGraphThatOutlivesItNoLongerThanTheDeadline) {
  on_ranks(2, [](Communicator& world) {
    const auto backend = test::make_emulated_cuda_backend();
    Device& device = backend->device();
    auto communicator = test::make_emulated_nccl_communicator(world, device);
    world.set_deadline(300ms);
    const DeviceMemory memory = device.allocate(16);
    std::unique_ptr<Replay> replay;
    if (world.rank() == 0) replay = capture_groups(device, *communicator, memory, nullptr);
    communicator.reset();
    if (replay) {
      EXPECT_GT(test::live_nccl_communicators(), 0);
    }
    replay.reset();
  });
  const auto begin = std::chrono::steady_clock::now();
  while (test::live_nccl_communicators() > 0 && std::chrono::steady_clock::now() - begin < 20s) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(test::live_nccl_communicators(), 0);
}

}  // namespace
}  // namespace convoy
