#pragma once
// The emulator's own door: launches, and what tests may set.
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "emulated_runtime.h"
#include "emulated_types.h"

namespace emulator {

/// From here on the orders are drawn from this seed. At first: CONVOY_TEST_SEED, or 1.
void set_seed(std::uint64_t seed);
/// Of every device; 8 GiB at first.
void set_device_memory(std::size_t bytes);
void set_device_count(int count);
/// A failed kernel fails every call from then on, as on a device. This makes it forgotten, with all that was enqueued.
void forget_failure();
/// Allocations of device and pinned memory that are not freed.
int live_allocations();

/// What a stream does when its turn comes: done on return, and then what it returns is empty; or a function that is
/// called until it says that it is done.
using Poll = std::function<bool()>;
using Task = std::function<Poll()>;
cudaError_t enqueue_task(cudaStream_t stream, Task task);
/// What the stream is being captured into keeps this, as do the executables made of it (cudaGraphRetainUserObject); elsewhere
/// nobody does.
void keep_in_capture(cudaStream_t stream, std::shared_ptr<void> kept);

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, dim3 grid, dim3 block, std::function<void()> thread);

/// Arguments are copied now, as by a launch.
template <typename... Parameters, typename... Arguments>
cudaError_t enqueue(cudaStream_t stream, void (*kernel)(Parameters...), dim3 grid, dim3 block, Arguments&&... arguments) {
  std::tuple<Parameters...> copied(std::forward<Arguments>(arguments)...);
  return enqueue_kernel(stream, reinterpret_cast<const void*>(kernel), grid, block,
                        [kernel, copied] { std::apply(kernel, copied); });
}

}  // namespace emulator
