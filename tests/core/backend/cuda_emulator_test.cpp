// The emulator itself: what it must let pass, and what it must find.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "core/backend/cuda/launch.h"
#include "core/tensor/error.h"

namespace convoy::test {
namespace {

using cuda::launch;

constexpr int kThreads = 96;

/// Streams, and memory of ints, for a test.
class CudaEmulator : public testing::Test {
 protected:
  void SetUp() override {
    emulator::set_seed(1);
    emulator::forget_failure();
    for (cudaStream_t& stream : streams_) CONVOY_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CONVOY_CUDA(cudaMalloc(&device_, kBytes));
    CONVOY_CUDA(cudaMallocHost(&pinned_, kBytes));
    std::memset(pinned_, 0, kBytes);
  }
  void TearDown() override {
    emulator::forget_failure();
    for (cudaStream_t stream : streams_) EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
    EXPECT_EQ(cudaFree(device_), cudaSuccess);
    EXPECT_EQ(cudaFreeHost(pinned_), cudaSuccess);
  }
  /// Blocks until all is done; what a device would hold now.
  std::vector<int> device_values(int n) {
    std::vector<int> values(static_cast<std::size_t>(n));
    CONVOY_CUDA(cudaDeviceSynchronize());
    CONVOY_CUDA(cudaMemcpy(values.data(), device_, values.size() * sizeof(int), cudaMemcpyDeviceToHost));
    return values;
  }
  /// The message of the error that the enqueued work ends in; empty if it ends well.
  std::string failure() {
    try {
      CONVOY_CUDA(cudaDeviceSynchronize());
    } catch (const LibraryError& error) {
      return error.what();
    }
    return {};
  }

  static constexpr std::size_t kBytes = 4096 * sizeof(int);
  cudaStream_t streams_[2] = {};
  int* device_ = nullptr;
  int* pinned_ = nullptr;
};

__global__ void reverse_by_shared_memory(int* values) {
  __shared__ int kept[kThreads];
  kept[threadIdx.x] = values[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  values[blockIdx.x * blockDim.x + threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
}

TEST_F(CudaEmulator, HoldsThreadsAtABarrier) {
  for (int i = 0; i < 4 * kThreads; ++i) pinned_[i] = i;
  for (const std::uint64_t seed : {1, 2, 3}) {
    emulator::set_seed(seed);
    CONVOY_CUDA(cudaMemcpyAsync(device_, pinned_, kBytes, cudaMemcpyHostToDevice, streams_[0]));
    launch(reverse_by_shared_memory, 4, kThreads, streams_[0], device_);
    const std::vector<int> found = device_values(4 * kThreads);
    for (int i = 0; i < 4 * kThreads; ++i)
      ASSERT_EQ(found[static_cast<std::size_t>(i)], i / kThreads * kThreads + kThreads - 1 - i % kThreads);
  }
}

__global__ void reverse_without_a_barrier(int* values) {
  __shared__ int kept[kThreads];
  kept[threadIdx.x] = static_cast<int>(threadIdx.x);
  values[threadIdx.x] = kept[kThreads - 1 - threadIdx.x];
}

TEST_F(CudaEmulator, ShowsAForgottenBarrierAndGarbageInSharedMemory) {
  launch(reverse_without_a_barrier, 1, kThreads, streams_[0], device_);
  const std::vector<int> found = device_values(kThreads);
  // Who came too early saw what the emulator fills shared memory with.
  EXPECT_TRUE(std::find(found.begin(), found.end(), -1) != found.end());
}

template <typename T>
__global__ void exchange(T* results) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const T own = static_cast<T>(lane);
  T* const to = results + threadIdx.x * 6;
  to[0] = __shfl_sync(0xffffffffu, own, 5);
  to[1] = __shfl_down_sync(0xffffffffu, own, 3);
  to[2] = __shfl_up_sync(0xffffffffu, own, 3);
  to[3] = __shfl_xor_sync(0xffffffffu, own, 17);
  to[4] = __shfl_xor_sync(0xffffffffu, own, 1, 8);
  to[5] = __shfl_down_sync(0xffffffffu, own, 4, 8);
}

template <typename T>
void expect_exchanges(T* results, cudaStream_t stream) {
  launch(exchange<T>, 1, 64, stream, results);
  CONVOY_CUDA(cudaStreamSynchronize(stream));
  for (int thread = 0; thread < 64; ++thread) {
    const int lane = thread % 32;
    const T* found = results + thread * 6;
    EXPECT_EQ(found[0], static_cast<T>(5));
    EXPECT_EQ(found[1], static_cast<T>(lane < 29 ? lane + 3 : lane));
    EXPECT_EQ(found[2], static_cast<T>(lane >= 3 ? lane - 3 : lane));
    EXPECT_EQ(found[3], static_cast<T>(lane ^ 17));
    EXPECT_EQ(found[4], static_cast<T>(lane ^ 1));
    EXPECT_EQ(found[5], static_cast<T>(lane % 8 < 4 ? lane + 4 : lane));
  }
}

TEST_F(CudaEmulator, ExchangesValuesBetweenLanes) {
  expect_exchanges(reinterpret_cast<float*>(device_), streams_[0]);
  expect_exchanges(reinterpret_cast<double*>(device_), streams_[0]);
  expect_exchanges(device_, streams_[0]);
  expect_exchanges(reinterpret_cast<unsigned long long*>(device_), streams_[0]);
}

__global__ void votes(int* results) {
  const bool odd = threadIdx.x % 2 == 1;
  results[threadIdx.x] = static_cast<int>(__ballot_sync(0xffffffffu, odd)) + __any_sync(0xffffffffu, threadIdx.x == 7) +
                         2 * __all_sync(0xffffffffu, odd) + 4 * __syncthreads_count(odd);
}

TEST_F(CudaEmulator, CountsVotes) {
  launch(votes, 1, 32, streams_[0], device_);
  EXPECT_EQ(device_values(1)[0], static_cast<int>(0xaaaaaaaau) + 1 + 4 * 16);
}

__global__ void half_reach_the_barrier() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void half_reach_the_exchange(int* results) {
  if (threadIdx.x < 16) results[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}
__global__ void part_at_two_barriers() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void read_beyond_the_mask(int* results) {
  if (threadIdx.x < 16) results[threadIdx.x] = __shfl_xor_sync(0xffffu, 1, 16);
}

TEST_F(CudaEmulator, NamesABarrierThatSomeThreadsNeverReach) {
  launch(half_reach_the_barrier, 2, 64, streams_[0]);
  const std::string message = failure();
  EXPECT_NE(message.find("half_reach_the_barrier"), std::string::npos) << message;
  EXPECT_NE(message.find("0..39 waits in __syncthreads at"), std::string::npos) << message;
  EXPECT_NE(message.find("40..63 ended"), std::string::npos) << message;
}

TEST_F(CudaEmulator, NamesAnExchangeWithMissingLanes) {
  launch(half_reach_the_exchange, 1, 32, streams_[0], device_);
  EXPECT_NE(failure().find("waits in __shfl_xor_sync at"), std::string::npos);
}

TEST_F(CudaEmulator, NamesAnExchangeWithLanesBeyondTheBlock) {
  launch(half_reach_the_exchange, 1, 16, streams_[0], device_);
  EXPECT_NE(failure().find("lanes that the block of 16 threads does not have"), std::string::npos);
}

TEST_F(CudaEmulator, NamesThreadsAtDifferentBarriers) {
  launch(part_at_two_barriers, 1, 64, streams_[0]);
  EXPECT_NE(failure().find("32..63 waits in __syncthreads"), std::string::npos);
}

TEST_F(CudaEmulator, NamesAReadFromOutsideTheMask) {
  launch(read_beyond_the_mask, 1, 32, streams_[0], device_);
  EXPECT_NE(failure().find("which is not in its mask"), std::string::npos);
}

TEST_F(CudaEmulator, FailsEveryCallAfterAFailedKernel) {
  launch(half_reach_the_barrier, 1, 64, streams_[0]);
  EXPECT_FALSE(failure().empty());
  EXPECT_FALSE(failure().empty());
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 64), cudaErrorLaunchFailure);
  emulator::forget_failure();
  launch(votes, 1, 32, streams_[0], device_);
  EXPECT_TRUE(failure().empty());
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

TEST_F(CudaEmulator, RejectsABlockOfTooManyThreads) {
  EXPECT_THROW(launch(half_reach_the_barrier, 1, 2048, streams_[0]), LibraryError);
}

__global__ void note_order(int* order, int* next) { order[threadIdx.x] = atomicAdd(next, 1); }

TEST_F(CudaEmulator, RunsThreadsInAnOrderOfTheSeeds) {
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    emulator::set_seed(seed);
    CONVOY_CUDA(cudaMemsetAsync(device_, 0, kBytes, streams_[0]));
    launch(note_order, 1, 64, streams_[0], device_, device_ + 64);
    orders.insert(device_values(64));
  }
  EXPECT_EQ(orders.size(), 5u);
}

__global__ void set_value(int* to, int value) { *to = value; }
__global__ void set_first_in_a_capture(int* values) { values[0] = 1; }
__global__ void double_value(int* to, const int* from) { *to = 2 * *from; }

/// What comes out of 21 doubled by another stream, with and without a wait between the two, over many seeds.
std::set<int> results_of_two_streams(cudaStream_t first, cudaStream_t second, int* memory, bool waits) {
  std::set<int> results;
  cudaEvent_t event;
  CONVOY_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    emulator::set_seed(seed);
    CONVOY_CUDA(cudaMemset(memory, 0, 2 * sizeof(int)));
    launch(set_value, 1, 1, first, memory, 21);
    CONVOY_CUDA(cudaEventRecord(event, first));
    if (waits) CONVOY_CUDA(cudaStreamWaitEvent(second, event, 0));
    launch(double_value, 1, 1, second, memory + 1, memory);
    CONVOY_CUDA(cudaDeviceSynchronize());
    results.insert(memory[1]);
  }
  CONVOY_CUDA(cudaEventDestroy(event));
  return results;
}

TEST_F(CudaEmulator, ShowsAForgottenWaitBetweenStreams) {
  EXPECT_EQ(results_of_two_streams(streams_[0], streams_[1], device_, false), (std::set<int>{0, 42}));
  EXPECT_EQ(results_of_two_streams(streams_[0], streams_[1], device_, true), (std::set<int>{42}));
}

TEST_F(CudaEmulator, ReadsPinnedMemoryWhenTheCopysTurnComes) {
  pinned_[0] = 1;
  CONVOY_CUDA(cudaMemcpyAsync(device_, pinned_, sizeof(int), cudaMemcpyHostToDevice, streams_[0]));
  pinned_[0] = 2;
  EXPECT_EQ(device_values(1)[0], 2);
  int pageable = 3;
  CONVOY_CUDA(cudaMemcpyAsync(device_, &pageable, sizeof(int), cudaMemcpyHostToDevice, streams_[0]));
  pageable = 4;
  EXPECT_EQ(device_values(1)[0], 3);
}

TEST_F(CudaEmulator, RejectsCopiesBeyondTheEndAndOfTheWrongKind) {
  EXPECT_EQ(cudaMemcpyAsync(device_, pinned_, kBytes + 4, cudaMemcpyDefault, streams_[0]), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device_, pinned_, 4, cudaMemcpyDeviceToHost, streams_[0]), cudaErrorInvalidValue);
}

TEST_F(CudaEmulator, PassesAnEventAfterWhatCameBefore) {
  cudaEvent_t event;
  CONVOY_CUDA(cudaEventCreate(&event));
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);  // never recorded
  pinned_[0] = 0;
  for (int i = 1; i <= 5; ++i) launch(set_value, 1, 1, streams_[0], pinned_, i);
  CONVOY_CUDA(cudaEventRecord(event, streams_[0]));
  int queries = 1;
  while (cudaEventQuery(event) == cudaErrorNotReady) ++queries;
  EXPECT_EQ(pinned_[0], 5);
  EXPECT_EQ(queries, 6);
  CONVOY_CUDA(cudaEventDestroy(event));
}

/// Captures on streams_[0]: values[0] = 5; then on streams_[1] values[1] = 2 values[0], beside values[2] = 7 here; joined,
/// values[3] = 2 values[1].
class CudaEmulatorGraph : public CudaEmulator {
 protected:
  void SetUp() override {
    CudaEmulator::SetUp();
    for (cudaEvent_t& event : events_) CONVOY_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    launch(set_value, 1, 1, streams_[0], device_, 0);  // loads them
    launch(double_value, 1, 1, streams_[0], device_ + 1, device_);
    CONVOY_CUDA(cudaStreamSynchronize(streams_[0]));
  }
  void TearDown() override {
    for (cudaEvent_t event : events_) CONVOY_CUDA(cudaEventDestroy(event));
    CudaEmulator::TearDown();
  }
  void enqueue_fork(bool joins) {
    launch(set_value, 1, 1, streams_[0], device_, 5);
    CONVOY_CUDA(cudaEventRecord(events_[0], streams_[0]));
    CONVOY_CUDA(cudaStreamWaitEvent(streams_[1], events_[0], 0));
    launch(double_value, 1, 1, streams_[1], device_ + 1, device_);
    CONVOY_CUDA(cudaEventRecord(events_[1], streams_[1]));
    launch(set_value, 1, 1, streams_[0], device_ + 2, 7);
    if (joins) CONVOY_CUDA(cudaStreamWaitEvent(streams_[0], events_[1], 0));
    launch(double_value, 1, 1, streams_[0], device_ + 3, device_ + 1);
  }

  cudaEvent_t events_[2] = {};
};

TEST_F(CudaEmulatorGraph, RunsWhatWasCapturedAtEachLaunchInTheOrderOfForkAndJoin) {
  CONVOY_CUDA(cudaMemset(device_, 0, kBytes));
  CONVOY_CUDA(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
  enqueue_fork(true);
  cudaGraph_t graph;
  CONVOY_CUDA(cudaStreamEndCapture(streams_[0], &graph));
  cudaGraphExec_t executable;
  CONVOY_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  CONVOY_CUDA(cudaGraphDestroy(graph));
  EXPECT_EQ(device_values(4), (std::vector<int>{0, 0, 0, 0}));  // captured, not executed
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    emulator::set_seed(seed);
    CONVOY_CUDA(cudaMemset(device_, 0, kBytes));
    CONVOY_CUDA(cudaGraphLaunch(executable, streams_[0]));
    EXPECT_EQ(device_values(4), (std::vector<int>{5, 10, 7, 20})) << seed;
  }
  CONVOY_CUDA(cudaGraphExecDestroy(executable));
}

TEST_F(CudaEmulatorGraph, RejectsACaptureWhoseForkIsNotJoined) {
  CONVOY_CUDA(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
  enqueue_fork(false);
  cudaGraph_t graph;
  EXPECT_EQ(cudaStreamEndCapture(streams_[0], &graph), cudaErrorStreamCaptureUnjoined);
}

TEST_F(CudaEmulatorGraph, RejectsWaitsAndAllocationsOfTheCapturingThread) {
  CONVOY_CUDA(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
  EXPECT_EQ(cudaEventQuery(events_[0]), cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph;
  EXPECT_EQ(cudaStreamEndCapture(streams_[0], &graph), cudaErrorStreamCaptureInvalidated);
  CONVOY_CUDA(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(streams_[0], &graph), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CudaEmulatorGraph, RejectsAKernelsFirstLaunch) {
  for (const cudaError_t expected : {cudaErrorStreamCaptureInvalidated, cudaSuccess}) {
    CONVOY_CUDA(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
    if (expected == cudaSuccess) {
      launch(set_first_in_a_capture, 1, 1, streams_[0], device_);
    } else {
      EXPECT_THROW(launch(set_first_in_a_capture, 1, 1, streams_[0], device_), LibraryError);
    }
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(streams_[0], &graph), expected);
    if (graph != nullptr) {
      CONVOY_CUDA(cudaGraphDestroy(graph));
    }
  }
}

TEST_F(CudaEmulatorGraph, LetsOtherThreadsQueryDuringAThreadLocalCapture) {
  CONVOY_CUDA(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
  cudaError_t found = cudaErrorNotReady;
  std::thread([&] { found = cudaEventQuery(events_[0]); }).join();
  EXPECT_EQ(found, cudaSuccess);
  cudaGraph_t graph;
  CONVOY_CUDA(cudaStreamEndCapture(streams_[0], &graph));
  CONVOY_CUDA(cudaGraphDestroy(graph));
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(CudaEmulator, FindsWritesBehindTheEndWhenTheMemoryIsFreed) {
  int* memory = nullptr;
  CONVOY_CUDA(cudaMalloc(&memory, 40));
  launch(set_value, 1, 1, streams_[0], memory + 10, 1);
  EXPECT_EQ(cudaFree(memory), cudaErrorLaunchFailure);
  EXPECT_NE(failure().find("written beside its ends"), std::string::npos);
}
#endif

TEST_F(CudaEmulator, KnowsHowMuchMemoryIsLeft) {
  std::size_t before = 0, after = 0, total = 0;
  CONVOY_CUDA(cudaMemGetInfo(&before, &total));
  void* memory = nullptr;
  CONVOY_CUDA(cudaMalloc(&memory, 1000));
  CONVOY_CUDA(cudaMemGetInfo(&after, &total));
  EXPECT_EQ(before - after, 1000u);
  void* too_much = nullptr;
  EXPECT_EQ(cudaMalloc(&too_much, after + 1), cudaErrorMemoryAllocation);
  CONVOY_CUDA(cudaFree(memory));
}

}  // namespace
}  // namespace convoy::test
