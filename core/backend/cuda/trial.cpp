#include "core/backend/cuda/trial.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "core/backend/cuda/check.h"
#include "core/tensor/error.h"
#include "core/tensor/narrow.h"

namespace convoy::cuda {
namespace {

constexpr int kRuns = 5;
constexpr std::size_t kPattern = std::size_t{1} << 20;       // values until they repeat
constexpr std::size_t kCompared = std::size_t{1} << 20;      // bytes of a result that are compared

template <typename T>
std::vector<std::byte> pattern_of(std::size_t elements) {
  std::vector<std::byte> bytes(elements * sizeof(T));
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < elements; ++i) {
    state = state * 1664525u + 1013904223u;
    const T value = from_float<T>(static_cast<float>(state >> 8) * 0x1p-23f - 1.0f);
    std::copy_n(reinterpret_cast<const std::byte*>(&value), sizeof value, bytes.data() + i * sizeof value);
  }
  return bytes;
}

std::vector<std::byte> pattern_of(DType type, std::size_t elements) {
  if (type == DType::bf16) return pattern_of<Bf16>(elements);
  if (type == DType::f16) return pattern_of<F16>(elements);
  return pattern_of<float>(elements);
}

/// Null, and no error left behind, where the device has no room.
void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, std::max<std::size_t>(bytes, 256)) == cudaSuccess) return memory;
  static_cast<void>(cudaGetLastError());
  return nullptr;
}

class Timer {
 public:
  explicit Timer(cudaStream_t stream) : stream_(stream) {
    CONVOY_CUDA(cudaEventCreate(&begin_));
    CONVOY_CUDA(cudaEventCreate(&end_));
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() {
    static_cast<void>(cudaEventDestroy(begin_));
    static_cast<void>(cudaEventDestroy(end_));
  }
  float milliseconds(const std::function<void()>& run) {
    CONVOY_CUDA(cudaEventRecord(begin_, stream_));
    run();
    CONVOY_CUDA(cudaEventRecord(end_, stream_));
    CONVOY_CUDA(cudaEventSynchronize(end_));
    float time = 0;
    CONVOY_CUDA(cudaEventElapsedTime(&time, begin_, end_));
    return time;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t begin_{}, end_{};
};

std::vector<std::byte> bits_after(cudaStream_t stream, const std::function<void()>& run, const TrialMemory& result) {
  std::vector<std::byte> bits(std::min(result.bytes(), kCompared));
  CONVOY_CUDA(cudaMemsetAsync(result.get(), 0xff, result.bytes(), stream));
  run();
  CONVOY_CUDA(cudaMemcpyAsync(bits.data(), result.get(), bits.size(), cudaMemcpyDeviceToHost, stream));
  CONVOY_CUDA(cudaStreamSynchronize(stream));
  return bits;
}

/// Infinite for one that fails. The first run also loads its code.
float least_milliseconds(Timer& timer, const std::function<void()>& run) {
  try {
    timer.milliseconds(run);
    float least = timer.milliseconds(run);
    for (int again = 1; again < kRuns; ++again) least = std::min(least, timer.milliseconds(run));
    return least;
  } catch (const LibraryError&) {
    static_cast<void>(cudaGetLastError());
    return std::numeric_limits<float>::infinity();
  }
}

}  // namespace

TrialMemory::TrialMemory(DType type, std::size_t elements, cudaStream_t stream)
    : memory_(allocate(elements * size_of(type))), bytes_(elements * size_of(type)) {
  if (memory_ == nullptr) return;
  const auto pattern = pattern_of(type, std::min(elements, kPattern));
  for (std::size_t done = 0; done < bytes_; done += pattern.size())
    CONVOY_CUDA(cudaMemcpyAsync(static_cast<std::byte*>(memory_) + done, pattern.data(), std::min(pattern.size(), bytes_ - done),
                                cudaMemcpyHostToDevice, stream));
  CONVOY_CUDA(cudaStreamSynchronize(stream));
}

TrialMemory::TrialMemory(std::size_t bytes) : memory_(allocate(bytes)), bytes_(bytes) {}

TrialMemory::~TrialMemory() { static_cast<void>(cudaFree(memory_)); }

int fastest(cudaStream_t stream, std::span<const std::function<void()>> runs, const TrialMemory& result) {
  Timer timer(stream);
  std::vector<float> times;
  for (const auto& run : runs) times.push_back(least_milliseconds(timer, run));
  std::vector<int> order(runs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return times[static_cast<std::size_t>(a)] < times[static_cast<std::size_t>(b)]; });
  for (int i : order) {
    if (times[static_cast<std::size_t>(i)] == std::numeric_limits<float>::infinity()) break;
    const auto& run = runs[static_cast<std::size_t>(i)];
    if (bits_after(stream, run, result) == bits_after(stream, run, result)) return i;
  }
  return -1;
}

}  // namespace convoy::cuda
