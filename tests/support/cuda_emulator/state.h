#pragma once
// What streams, memory and capture share. One lock for all of it; it is not held while an operation runs.
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "block.h"
#include "cuda_runtime.h"

namespace emulator {

/// One record of an event.
struct Mark {
  bool passed = false;
  std::chrono::steady_clock::time_point at{};
};

struct Operation {
  Task task;                     // may be empty
  std::shared_ptr<Mark> waits;   // runs after this was passed
  std::shared_ptr<Mark> passes;  // passed when it has run
  Poll poll;                     // under way
  bool started = false;
};

/// A graph under construction: all streams that joined it.
struct Capture {
  CUgraph_st* graph;
  CUstream_st* origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  std::vector<CUstream_st*> streams;
  bool invalid = false;
};

enum class MemoryKind { device, pinned, pageable };
struct Allocation {
  std::size_t bytes;
  MemoryKind kind;
  int device;
};

struct Process {
  std::mutex lock;
  std::condition_variable changed;
  std::vector<CUstream_st*> streams;
  std::vector<std::shared_ptr<Capture>> captures;
  std::map<const std::byte*, Allocation> allocations;
  std::map<int, std::size_t> used_bytes;  // by device
  std::size_t device_bytes = std::size_t{8} << 30;
  int device_count = 1;
  std::set<const void*> loaded;  // kernels that were launched
  Shuffler shuffler{1};
  std::uint64_t seed = 1, draws = 0;
  std::string failure;  // empty: none
  cudaError_t last_error = cudaSuccess;
};
Process& process();
int current_device();

/// With the lock held. Remembers the status for cudaGetLastError.
cudaError_t returned(cudaError_t status);
/// With the lock held: whether the calling thread may not wait or allocate because of a capture; makes that one invalid.
bool forbidden_by_capture();
/// A seed of its own for one execution.
std::uint64_t draw_seed();

/// With the lock held: appends to the stream's queue, or to the graph that it is captured into.
cudaError_t append(cudaStream_t stream, Operation operation);
/// With the lock held, which is released meanwhile: one step of a stream of `owner` (of any, if those have none), drawn at
/// random; and steps until `reached`.
enum class Step { done, pending, nothing };
Step make_step(std::unique_lock<std::mutex>& lock, std::thread::id owner);
cudaError_t wait_for(std::unique_lock<std::mutex>& lock, std::thread::id owner, const std::function<bool()>& reached);
/// Waits until the stream is empty.
cudaError_t drain(std::unique_lock<std::mutex>& lock, cudaStream_t stream);
/// The stream itself, or the default stream for null.
cudaStream_t stream_of(cudaStream_t stream);

}  // namespace emulator

struct CUstream_st {
  int device = 0;
  std::thread::id owner;  // steps of one thread's streams are made by whoever waits for them, not by other ranks' threads
  std::deque<emulator::Operation> queue;
  bool busy = false;      // its head is being run
  std::shared_ptr<emulator::Capture> capture;
  std::vector<int> frontier;  // nodes of the graph after which the next one comes
};

struct CUevent_st {
  bool timed = true;
  std::shared_ptr<emulator::Mark> mark;  // of the last record; null: none yet
  std::thread::id owner;                 // of the stream of the last record
  std::shared_ptr<emulator::Capture> capture;  // recorded in a capture
  std::vector<int> frontier;
};

struct CUgraph_st {
  struct Node {
    emulator::Task task;
    std::vector<int> after;
  };
  std::vector<Node> nodes;
  std::vector<std::shared_ptr<void>> kept;  // CUDA's user objects
};

struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
  std::vector<std::shared_ptr<void>> kept;  // until it is destroyed, also where a launch is under way
};
