#include "core/backend/cuda/cuda_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/sums.h"
#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

/// Without timing, which costs time, and which nobody reads.
class CudaEvent final : public Event {
 public:
  CudaEvent() { CONVOY_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~CudaEvent() override { static_cast<void>(cudaEventDestroy(event_)); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

cudaEvent_t raw(const Event& event) { return static_cast<const CudaEvent&>(event).get(); }

class CudaReplay final : public Replay {
 public:
  CudaReplay(const CudaDevice& device, cudaGraph_t graph) : device_(device) {
    // Without the flag all kernels have the launching stream's priority; the communication's is above it.
    CONVOY_CUDA(cudaGraphInstantiate(&executable_, graph, cudaGraphInstantiateFlagUseNodePriority));
  }
  ~CudaReplay() override { static_cast<void>(cudaGraphExecDestroy(executable_)); }
  CudaReplay(const CudaReplay&) = delete;
  CudaReplay& operator=(const CudaReplay&) = delete;
  void launch() override { CONVOY_CUDA(cudaGraphLaunch(executable_, device_.stream(Stream::compute))); }

 private:
  const CudaDevice& device_;
  cudaGraphExec_t executable_ = nullptr;
};

/// Owns a graph until it is instantiated.
struct Graph {
  cudaGraph_t graph = nullptr;
  ~Graph() {
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
  }
};

/// What frees memory of a device, on whichever thread holds it last. Never throws: the driver may be going down already.
auto freed_by(int ordinal, cudaError_t (*free)(void*)) {
  return [ordinal, free](std::byte* memory) {
    static_cast<void>(cudaSetDevice(ordinal));
    static_cast<void>(free(memory));
  };
}

std::size_t at_least_one(std::size_t bytes) { return bytes == 0 ? 1 : bytes; }

}  // namespace

CudaDevice::CudaDevice(int ordinal) : ordinal_(ordinal) {
  int count = 0;
  CONVOY_CUDA(cudaGetDeviceCount(&count));
  if (ordinal < 0 || ordinal >= count)
    throw UsageError(fmt::format("device {}: expected a number below {}, the number of CUDA devices here", ordinal, count));
  CONVOY_CUDA(cudaSetDevice(ordinal));
  CONVOY_CUDA(cudaGetDeviceProperties(&properties_, ordinal));
  // Non-blocking: nothing waits for the default stream, which nobody uses. What other ranks wait for goes first.
  int least = 0, greatest = 0;
  CONVOY_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  for (const Stream on : {Stream::compute, Stream::communication, Stream::copy})
    CONVOY_CUDA(cudaStreamCreateWithPriority(&streams_[static_cast<std::size_t>(on)], cudaStreamNonBlocking,
                                             on == Stream::communication ? greatest : least));
}

CudaDevice::~CudaDevice() {
  static_cast<void>(cudaSetDevice(ordinal_));
  for (cudaStream_t stream : streams_)
    if (stream != nullptr) static_cast<void>(cudaStreamDestroy(stream));
}

void CudaDevice::use() const { CONVOY_CUDA(cudaSetDevice(ordinal_)); }

DeviceMemory CudaDevice::allocate(std::size_t bytes) {
  use();
  void* memory = nullptr;
  if (const cudaError_t status = cudaMalloc(&memory, at_least_one(bytes)); status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // or a later call would be blamed for it
    std::size_t free = 0, total = 0;
    if (status != cudaErrorMemoryAllocation || cudaMemGetInfo(&free, &total) != cudaSuccess)
      check(status, "cudaMalloc", __FILE__, __LINE__);
    throw LibraryError(fmt::format("cudaMalloc: wanted {} bytes of {}, where {} of {} are free", bytes, name(), free, total));
  }
  DeviceMemory owned(static_cast<std::byte*>(memory), [usage = usage_, bytes, free = freed_by(ordinal_, cudaFree)](std::byte* freed) {
    free(freed);
    usage->bytes -= bytes;
  });
  usage_->peak = std::max(usage_->peak.load(), usage_->bytes += bytes);  // one thread at a time allocates
  // Waited for: no stream waits for another one's fill.
  CONVOY_CUDA(cudaMemsetAsync(memory, 0, at_least_one(bytes), stream(Stream::copy)));
  CONVOY_CUDA(cudaStreamSynchronize(stream(Stream::copy)));
  return owned;
}

DeviceMemory CudaDevice::allocate_staging(std::size_t bytes) {
  use();
  void* memory = nullptr;
  if (const cudaError_t status = cudaMallocHost(&memory, at_least_one(bytes)); status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    if (status != cudaErrorMemoryAllocation) check(status, "cudaMallocHost", __FILE__, __LINE__);
    throw LibraryError(fmt::format("cudaMallocHost: the host cannot pin {} bytes for copies to {}", bytes, name()));
  }
  DeviceMemory owned(static_cast<std::byte*>(memory), freed_by(ordinal_, cudaFreeHost));
  std::fill_n(owned.get(), bytes, std::byte{0});
  return owned;
}

void CudaDevice::copy(Stream on, void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) CONVOY_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream(on)));
}

void CudaDevice::fill_zero(Stream on, void* to, std::size_t bytes) {
  if (bytes > 0) CONVOY_CUDA(cudaMemsetAsync(to, 0, bytes, stream(on)));
}

void CudaDevice::add(Stream on, float* to, const float* left, const float* right, std::size_t elements,
                     SumRounding rounding) {
  cuda::add(stream(on), to, left, right, elements, rounding);
}

void CudaDevice::fold(Stream on, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
                      SumRounding rounding) {
  cuda::fold(stream(on), places, leaf, elements, table, rounding);
}

void CudaDevice::pack_bf16(Stream on, std::uint16_t* to, const float* from, std::size_t elements) {
  cuda::pack_bf16(stream(on), to, from, elements);
}

void CudaDevice::unpack_bf16(Stream on, float* to, const std::uint16_t* from, std::size_t elements) {
  cuda::unpack_bf16(stream(on), to, from, elements);
}

std::unique_ptr<Event> CudaDevice::make_event() {
  use();
  return std::make_unique<CudaEvent>();
}

void CudaDevice::record(Stream on, Event& event) { CONVOY_CUDA(cudaEventRecord(raw(event), stream(on))); }

void CudaDevice::wait(Stream on, const Event& event) { CONVOY_CUDA(cudaStreamWaitEvent(stream(on), raw(event), 0)); }

bool CudaDevice::done(const Event& event) {
  use();
  const cudaError_t status = cudaEventQuery(raw(event));
  if (status == cudaErrorNotReady) return false;
  CONVOY_CUDA(status);
  return true;
}

void CudaDevice::synchronize(Stream on) {
  use();
  CONVOY_CUDA(cudaStreamSynchronize(stream(on)));
}

/// A kernel's code is loaded at its first launch, which may wait or allocate: not what a capture allows. Those of others have
/// run before they are captured (DeviceEngine::capture); the sums are called in captures alone.
void CudaDevice::rehearse() {
  const DeviceMemory zeros = allocate(kRehearsalBytes);
  rehearse_sums(stream(Stream::compute), zeros.get());
  synchronize(Stream::compute);
}

std::unique_ptr<Replay> CudaDevice::capture(const std::function<void()>& enqueue) {
  use();
  if (!std::exchange(rehearsed_, true)) rehearse();
  const cudaStream_t compute = stream(Stream::compute);
  // Thread-local: the watchdog may ask for events meanwhile, and NCCL's own threads allocate; in the global mode either
  // would spoil the capture and fail itself. What this thread enqueues neither waits nor allocates.
  CONVOY_CUDA(cudaStreamBeginCapture(compute, cudaStreamCaptureModeThreadLocal));
  Graph captured;
  try {
    enqueue();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(compute, &captured.graph));
    static_cast<void>(cudaGetLastError());
    throw;
  }
  CONVOY_CUDA(cudaStreamEndCapture(compute, &captured.graph));
  return std::make_unique<CudaReplay>(*this, captured.graph);
}

}  // namespace convoy::cuda
