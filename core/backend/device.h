#pragma once
// Where a backend computes: its memory, and the order in which what is asked of it happens. Kernels (backend.h) are
// enqueued on the compute stream; so are captured programs. On the host everything has happened when a call returns, so
// that callers are written once, for devices.
//
// Threads: a device belongs to one thread at a time; done() may be called by another.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace convoy {

/// Owned memory, aligned to 256 bytes; whoever holds the last copy frees it.
using DeviceMemory = std::shared_ptr<std::byte>;

/// What is enqueued on one stream happens in that order; between streams only events order.
enum class Stream { compute, communication, copy };
inline constexpr int kStreams = 3;

/// How partial sums travel and are kept: f32, or every sum rounded to bf16 after its addition in f32 (design: section 4).
enum class SumRounding { none, bf16 };

/// A mark in a stream, to be passed by others. Made by Device::make_event, recorded any number of times.
class Event {
 public:
  virtual ~Event() = default;
};

/// What was captured once and may be launched many times: the same kernels on the same addresses.
class Replay {
 public:
  virtual ~Replay() = default;
  /// Enqueues all of it on the compute stream.
  virtual void launch() = 0;
};

/// How the leaves of a bucket are summed on the device: the fixed tree over the micro-batches that one rank holds, as a
/// counter in base two. Leaf i (counted from the rank's first) is added to the `merges[i]` newest complete subtrees, the
/// newest first, each being the left operand; the sum is stored in place `slot[i]`. Row i of the table: i32
/// {merges, slot, left_1, left_2, ...} with `width` numbers; places are rows of `elements` floats.
struct FoldTable {
  const std::int32_t* rows = nullptr;        // device memory, [leaves, width]
  int width = 0;
  const std::int32_t* leaf = nullptr;        // device memory, [1]: i, read when the kernel runs
};

class Device {
 public:
  virtual ~Device() = default;
  /// "NVIDIA H200", or "host".
  virtual std::string name() const = 0;
  /// The CPU itself: its memory is host memory and every call has happened when it returns.
  virtual bool is_host() const = 0;
  virtual std::size_t total_memory_bytes() const = 0;
  /// The most bytes of allocate() that were there at one time; 0 on a host, whose system counts the process's memory.
  virtual std::size_t peak_memory_bytes() const { return 0; }

  /// Zero-filled. Throws LibraryError naming what was asked for and what is free.
  virtual DeviceMemory allocate(std::size_t bytes) = 0;
  /// Host memory that copies read and write while the host goes on. Zero-filled.
  virtual DeviceMemory allocate_staging(std::size_t bytes) = 0;

  /// Between device memory, staging memory, or one of each. Other host memory works too, but the call may then wait.
  virtual void copy(Stream on, void* to, const void* from, std::size_t bytes) = 0;
  virtual void fill_zero(Stream on, void* to, std::size_t bytes) = 0;

  // Sums. f32 arrays, 16-byte aligned. With SumRounding::bf16 every stored sum, and a leaf that is stored as it is, is
  // rounded to bf16 (and stays an f32 array).
  /// to[i] = left[i] + right[i]; `to` may be either operand.
  virtual void add(Stream on, float* to, const float* left, const float* right, std::size_t elements,
                   SumRounding rounding) = 0;
  /// See FoldTable. places [.., elements].
  virtual void fold(Stream on, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
                    SumRounding rounding) = 0;
  /// f32 to the upper halves that bf16 is (exact for rounded sums), and back: 2 bytes an element on the wire.
  virtual void pack_bf16(Stream on, std::uint16_t* to, const float* from, std::size_t elements) = 0;
  virtual void unpack_bf16(Stream on, float* to, const std::uint16_t* from, std::size_t elements) = 0;

  virtual std::unique_ptr<Event> make_event() = 0;
  virtual void record(Stream on, Event& event) = 0;
  /// What is enqueued on `on` from here on happens after the event's last record. No record yet: no wait.
  virtual void wait(Stream on, const Event& event) = 0;
  /// Whether the event's last record was passed. Throws LibraryError if the device failed.
  virtual bool done(const Event& event) = 0;
  /// Blocks the host until the stream is empty, without a deadline: for start, end and rare reads. Within a step use events.
  virtual void synchronize(Stream on) = 0;

  /// Runs `enqueue` once; what it enqueues is captured, not executed. Other streams join by events: wait for an event of
  /// the compute stream first, and have the compute stream wait for them last. On a host each launch() calls `enqueue`.
  virtual std::unique_ptr<Replay> capture(const std::function<void()>& enqueue) = 0;

  /// cudaStream_t of a stream, for the libraries that enqueue on it; null on a host.
  virtual void* native_stream(Stream on) = 0;
};

/// The CPU. Its sums are the same as distributed/'s (f32 addition in tree order).
std::unique_ptr<Device> make_host_device();

}  // namespace convoy
