// Device and pinned memory, with guards before and behind it.
#include <cstring>
#include <new>

#include "state.h"

#if defined(__SANITIZE_ADDRESS__)
#define CONVOY_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONVOY_ASAN 1
#endif
#endif
#if defined(CONVOY_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {
namespace {

constexpr std::size_t kGuardBytes = 256;
constexpr unsigned char kGuard = 0xa5, kGarbage = 0xff, kFreed = 0xfe;  // floats of 0xff and 0xfe: NaN, -2e38
constexpr std::align_val_t kAlignment{256};


/// With the address sanitizer guards trap at once; without it they are looked at when the memory is freed.
void set_guards(std::byte* memory, std::size_t bytes) {
  std::memset(memory - kGuardBytes, kGuard, kGuardBytes);
  std::memset(memory + bytes, kGuard, kGuardBytes);
#if defined(CONVOY_ASAN)
  __asan_poison_memory_region(memory - kGuardBytes, kGuardBytes);
  __asan_poison_memory_region(memory + bytes, kGuardBytes);
#endif
}

bool guards_hold(std::byte* memory, std::size_t bytes) {
#if defined(CONVOY_ASAN)
  __asan_unpoison_memory_region(memory - kGuardBytes, kGuardBytes);
  __asan_unpoison_memory_region(memory + bytes, kGuardBytes);
#endif
  for (std::size_t i = 0; i < kGuardBytes; ++i)
    if (memory[i - kGuardBytes] != std::byte{kGuard} || memory[bytes + i] != std::byte{kGuard}) return false;
  return true;
}

cudaError_t allocate(void** memory, std::size_t bytes, MemoryKind kind) {
  const std::lock_guard lock(process().lock);
  *memory = nullptr;
  if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  if (bytes == 0) return returned(cudaSuccess);
  const int device = current_device();
  if (kind == MemoryKind::device && bytes > process().device_bytes - process().used_bytes[device])
    return returned(cudaErrorMemoryAllocation);
  auto* whole = static_cast<std::byte*>(::operator new(bytes + 2 * kGuardBytes, kAlignment, std::nothrow));
  if (whole == nullptr) return returned(cudaErrorMemoryAllocation);
  std::byte* const begin = whole + kGuardBytes;
  std::memset(begin, kGarbage, bytes);
  set_guards(begin, bytes);
  process().allocations[begin] = {bytes, kind, device};
  if (kind == MemoryKind::device) process().used_bytes[device] += bytes;
  *memory = begin;
  return returned(cudaSuccess);
}

cudaError_t free_memory(void* memory, MemoryKind kind) {
  std::unique_lock lock(process().lock);
  if (memory == nullptr) return returned(cudaSuccess);
  if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  auto* const begin = static_cast<std::byte*>(memory);
  const auto at = process().allocations.find(begin);
  if (at == process().allocations.end() || at->second.kind != kind) return returned(cudaErrorInvalidValue);
  // Frees wait for all that was enqueued, as the real ones do.
  static_cast<void>(wait_for(lock, std::this_thread::get_id(), [] {
    for (const CUstream_st* stream : process().streams)
      if (stream->owner == std::this_thread::get_id() && !stream->queue.empty()) return false;
    return true;
  }));
  const Allocation allocation = at->second;
  process().allocations.erase(at);
  if (kind == MemoryKind::device) process().used_bytes[allocation.device] -= allocation.bytes;
  if (!guards_hold(begin, allocation.bytes) && process().failure.empty())
    process().failure = "an array of " + std::to_string(allocation.bytes) + " bytes was written beside its ends";
  std::memset(begin, kFreed, allocation.bytes);
  ::operator delete(begin - kGuardBytes, kAlignment);
  return returned(cudaSuccess);
}

struct Location {
  MemoryKind kind = MemoryKind::pageable;
  bool inside = true;  // all of it in one allocation
};
Location location_of(const void* memory, std::size_t bytes) {
  const auto* at = static_cast<const std::byte*>(memory);
  auto next = process().allocations.upper_bound(at);
  if (next == process().allocations.begin()) return {};
  --next;
  const auto offset = static_cast<std::size_t>(at - next->first);
  if (offset >= next->second.bytes + kGuardBytes) return {};
  return {next->second.kind, offset + bytes <= next->second.bytes};
}

bool fits_kind(Location to, Location from, cudaMemcpyKind kind) {
  if (kind == cudaMemcpyDefault) return true;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return to_device == (to.kind == MemoryKind::device) && from_device == (from.kind == MemoryKind::device);
}

}  // namespace

void set_device_memory(std::size_t bytes) {
  const std::lock_guard lock(process().lock);
  process().device_bytes = bytes;
}

int live_allocations() {
  const std::lock_guard lock(process().lock);
  return static_cast<int>(process().allocations.size());
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return allocate(memory, bytes, MemoryKind::device); }
cudaError_t cudaFree(void* memory) { return free_memory(memory, MemoryKind::device); }
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) { return allocate(memory, bytes, MemoryKind::pinned); }
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  return allocate(memory, bytes, MemoryKind::pinned);
}
cudaError_t cudaFreeHost(void* memory) { return free_memory(memory, MemoryKind::pinned); }

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(process().lock);
  *total = process().device_bytes;
  *free = process().device_bytes - process().used_bytes[current_device()];
  return returned(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  std::unique_lock lock(process().lock);
  stream = stream_of(stream);
  const Location target = location_of(to, bytes), source = location_of(from, bytes);
  if (!target.inside || !source.inside || !fits_kind(target, source, kind)) return returned(cudaErrorInvalidValue);
  const bool pageable = target.kind == MemoryKind::pageable || source.kind == MemoryKind::pageable;
  if (pageable && stream->capture != nullptr) {
    stream->capture->invalid = true;
    return returned(cudaErrorStreamCaptureUnsupported);
  }
  // Pageable memory is read before the call returns; pinned memory when the copy's turn comes.
  std::shared_ptr<std::vector<std::byte>> kept;
  if (source.kind == MemoryKind::pageable) {
    const auto* begin = static_cast<const std::byte*>(from);
    kept = std::make_shared<std::vector<std::byte>>(begin, begin + bytes);
  }
  const Task task = [=]() -> Poll {
    if (bytes > 0) std::memmove(to, kept ? kept->data() : from, bytes);
    return {};
  };
  const cudaError_t status = append(stream, {.task = task, .waits = {}, .passes = {}, .poll = {}});
  if (status != cudaSuccess || target.kind != MemoryKind::pageable) return returned(status);
  return drain(lock, stream);
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  {
    const std::lock_guard lock(process().lock);
    if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  }
  const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return status != cudaSuccess ? status : cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(process().lock);
  const Location target = location_of(to, bytes);
  if (!target.inside || target.kind == MemoryKind::pageable) return returned(cudaErrorInvalidValue);
  return returned(append(stream_of(stream), {.task = [=]() -> Poll {
    std::memset(to, value, bytes);
    return {};
  }, .waits = {}, .passes = {}, .poll = {}}));
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  const cudaError_t status = cudaMemsetAsync(to, value, bytes, nullptr);
  return status != cudaSuccess ? status : cudaStreamSynchronize(nullptr);
}
