// Streams, events, and who comes next.
#include <cstdlib>

#include "state.h"

namespace emulator {
namespace {

std::uint64_t seed_of_environment() {
  const char* text = std::getenv("CONVOY_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

bool can_run(const CUstream_st& stream) {
  return !stream.busy && !stream.queue.empty() && (!stream.queue.front().waits || stream.queue.front().waits->passed);
}

/// Streams whose heads can run: the owner's; if there are none, anybody's.
std::vector<CUstream_st*> runnable(std::thread::id owner) {
  std::vector<CUstream_st*> own, all;
  for (CUstream_st* stream : process().streams) {
    if (!can_run(*stream)) continue;
    all.push_back(stream);
    if (stream->owner == owner) own.push_back(stream);
  }
  return own.empty() ? all : own;
}

/// Runs what the operation is; whether it is done. Without the lock.
bool run_head(Operation& head) {
  if (!head.started) {
    head.started = true;
    if (head.task) head.poll = head.task();
  }
  return !head.poll || head.poll();
}

}  // namespace

Process& process() {
  // Never destroyed: devices may outlive statics.
  static Process* const the_process = [] {
    auto* p = new Process;
    p->seed = seed_of_environment();
    p->shuffler = Shuffler(p->seed);
    if (const char* count = std::getenv("CONVOY_EMULATED_DEVICES")) p->device_count = std::atoi(count);
    return p;
  }();
  return *the_process;
}

void set_seed(std::uint64_t seed) {
  const std::lock_guard lock(process().lock);
  process().seed = seed;
  process().draws = 0;
  process().shuffler = Shuffler(seed);
}

std::uint64_t draw_seed() {
  const std::lock_guard lock(process().lock);
  return process().seed * 1000003 + ++process().draws;
}

void forget_failure() {
  const std::lock_guard lock(process().lock);
  process().failure.clear();
  process().last_error = cudaSuccess;
  for (CUstream_st* stream : process().streams) stream->queue.clear();
}

cudaError_t returned(cudaError_t status) {
  if (!process().failure.empty()) status = cudaErrorLaunchFailure;
  if (status != cudaSuccess && status != cudaErrorNotReady) process().last_error = status;
  return status;
}

cudaStream_t stream_of(cudaStream_t stream) {
  static CUstream_st* const default_stream = [] {
    auto* made = new CUstream_st;
    made->owner = std::this_thread::get_id();
    process().streams.push_back(made);
    return made;
  }();
  return stream != nullptr ? stream : default_stream;
}

Step make_step(std::unique_lock<std::mutex>& lock, std::thread::id owner) {
  const auto heads = runnable(owner);
  if (heads.empty()) return Step::nothing;
  CUstream_st* const stream = heads[process().shuffler.draw(heads.size())];
  Operation operation = std::move(stream->queue.front());
  stream->busy = true;
  bool done = true;
  std::string failure;
  lock.unlock();
  try {
    done = run_head(operation);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  lock.lock();
  stream->busy = false;
  if (!failure.empty() && process().failure.empty()) process().failure = failure;  // the first one is told
  if (done && operation.passes) {
    operation.passes->passed = true;
    operation.passes->at = std::chrono::steady_clock::now();
  }
  if (done)
    stream->queue.pop_front();
  else
    stream->queue.front() = std::move(operation);
  process().changed.notify_all();
  return done ? Step::done : Step::pending;
}

cudaError_t wait_for(std::unique_lock<std::mutex>& lock, std::thread::id owner, const std::function<bool()>& reached) {
  while (!reached()) {
    if (!process().failure.empty()) break;
    const Step step = make_step(lock, owner);
    // Another thread runs the head, or what runs waits for another process.
    if (step != Step::done) process().changed.wait_for(lock, std::chrono::microseconds(50));
  }
  return returned(cudaSuccess);
}

cudaError_t drain(std::unique_lock<std::mutex>& lock, cudaStream_t stream) {
  return wait_for(lock, stream->owner, [&] { return stream->queue.empty(); });
}

cudaError_t enqueue_task(cudaStream_t stream, Task task) {
  const std::lock_guard lock(process().lock);
  return returned(append(stream_of(stream), {.task = std::move(task), .waits = {}, .passes = {}, .poll = {}}));
}

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, dim3 grid, dim3 block, std::function<void()> thread) {
  const auto count = [](dim3 d) { return std::uint64_t{d.x} * d.y * d.z; };
  if (count(grid) == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || count(block) == 0 ||
      count(block) > 1024 || block.z > 64) {
    const std::lock_guard lock(process().lock);
    return returned(cudaErrorInvalidConfiguration);
  }
  {
    const std::lock_guard lock(process().lock);
    const auto& capture = stream_of(stream)->capture;
    if (process().loaded.insert(kernel).second && capture != nullptr) {
      capture->invalid = true;
      return returned(cudaErrorStreamCaptureUnsupported);
    }
  }
  return enqueue_task(stream, [=, body = std::move(thread)]() -> Poll {
    Shuffler shuffler(draw_seed());
    run_grid(kernel, grid, block, body, shuffler);
    return {};
  });
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
  const std::lock_guard lock(process().lock);
  auto* made = new CUstream_st;
  made->device = current_device();
  made->owner = std::this_thread::get_id();
  process().streams.push_back(made);
  *stream = made;
  return returned(cudaSuccess);
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::unique_lock lock(process().lock);
  if (stream == nullptr) return returned(cudaErrorInvalidResourceHandle);
  const cudaError_t status = drain(lock, stream);
  process().changed.wait(lock, [&] { return !stream->busy; });
  std::erase(process().streams, stream);
  delete stream;
  return status;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::unique_lock lock(process().lock);
  stream = stream_of(stream);
  if (stream->capture != nullptr) stream->capture->invalid = true;
  if (stream->capture != nullptr || forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  return drain(lock, stream);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  std::unique_lock lock(process().lock);
  stream = stream_of(stream);
  if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  if (!stream->queue.empty()) make_step(lock, stream->owner);
  return returned(stream->queue.empty() ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaDeviceSynchronize() {
  std::unique_lock lock(process().lock);
  if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  return wait_for(lock, std::this_thread::get_id(), [] {
    for (const CUstream_st* stream : process().streams)
      if (stream->device == current_device() && !stream->queue.empty()) return false;
    return true;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(process().lock);
  stream = stream_of(stream);
  if (event->capture != nullptr) {
    if (stream->capture != nullptr && stream->capture != event->capture) return returned(cudaErrorStreamCaptureMerge);
    if (stream->capture == nullptr) {
      stream->capture = event->capture;
      stream->capture->streams.push_back(stream);
    }
    for (const int node : event->frontier) stream->frontier.push_back(node);
    return returned(cudaSuccess);
  }
  if (stream->capture != nullptr && event->mark != nullptr) return returned(cudaErrorStreamCaptureIsolation);
  if (event->mark == nullptr) return returned(cudaSuccess);
  return returned(append(stream, {.task = {}, .waits = event->mark, .passes = {}, .poll = {}}));
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return enqueue_task(stream, [=]() -> Poll {
    function(data);
    return {};
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const std::lock_guard lock(process().lock);
  *event = new CUevent_st;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return returned(cudaSuccess);
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(process().lock);
  delete event;
  return returned(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(process().lock);
  stream = stream_of(stream);
  event->capture = stream->capture;
  if (stream->capture != nullptr) {
    event->frontier = stream->frontier;
    return returned(cudaSuccess);
  }
  event->mark = std::make_shared<Mark>();
  event->owner = stream->owner;
  return returned(append(stream, {.task = {}, .waits = {}, .passes = event->mark, .poll = {}}));
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  std::unique_lock lock(process().lock);
  if (event->capture != nullptr) return returned(cudaErrorCapturedEvent);
  if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  const auto mark = event->mark;
  if (mark != nullptr && !mark->passed) make_step(lock, event->owner);
  return returned(mark == nullptr || mark->passed ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  std::unique_lock lock(process().lock);
  if (event->capture != nullptr) return returned(cudaErrorCapturedEvent);
  if (forbidden_by_capture()) return returned(cudaErrorStreamCaptureUnsupported);
  const auto mark = event->mark;
  return wait_for(lock, event->owner, [&] { return mark == nullptr || mark->passed; });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const std::lock_guard lock(process().lock);
  if (!start->timed || !end->timed || start->mark == nullptr || end->mark == nullptr)
    return returned(cudaErrorInvalidResourceHandle);
  if (!start->mark->passed || !end->mark->passed) return returned(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->mark->at - start->mark->at).count();
  return returned(cudaSuccess);
}
