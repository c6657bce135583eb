#pragma once
// What travels between workers and parameter servers: a header of fixed size, and bytes behind it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace convoy {

enum class FrameKind : std::uint32_t {
  request,    // worker -> sequencer: may I begin another micro-batch? (and send me the parameters)
  go,         // sequencer -> worker: begin this one; or push what you have; or there is no more
  push,       // worker -> every server: its slice of a gradient sum
  describe,   // worker -> sequencer: what that push is made of
  arrived,    // server -> sequencer: my slice of that push is here
  order,      // sequencer -> every server: the next entry of the order
  slice,      // server -> worker: its slice of the parameters
  state,      // server -> sequencer: all that its slice keeps, for a checkpoint
  beat,       // both ways: I live
  left_out,   // sequencer -> worker: you were taken for dead; the run goes on without you
  close       // both ways: my last frame to you
};

struct FrameHeader {
  FrameKind kind = FrameKind::beat;
  std::int32_t worker = -1;
  std::int64_t sequence = 0;       // of a worker's pushes, or of the order's entries
  std::int64_t version = 0;
  std::array<std::int64_t, 4> numbers{};
  std::array<double, 6> reals{};
  std::uint64_t bytes = 0;         // behind the header
};

/// Bytes that several frames and their readers may share.
struct Payload {
  std::shared_ptr<std::byte> data;
  std::size_t bytes = 0;

  template <typename T>
  T* as(std::size_t offset = 0) const { return reinterpret_cast<T*>(data.get() + offset); }
};

struct Frame {
  FrameHeader header;
  Payload payload;
};

/// Payloads go back to it when their last reader is done, so that the steady state allocates nothing. Any thread; it may
/// die before its payloads.
class PayloadPool {
 public:
  PayloadPool();
  /// Not initialised; aligned to 64 bytes.
  Payload take(std::size_t bytes);

 private:
  struct Store;
  std::shared_ptr<Store> store_;
};

}  // namespace convoy
