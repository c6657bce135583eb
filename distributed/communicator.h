#pragma once
// The one door to other processes. A world of one is a real one. Every wait has a deadline, a name and a step:
// the current name and step are set by the caller (`at`) and stand in the error when a peer is silent.
//
// Threads: a communicator belongs to one thread at a time; only set_deadline() and interrupt() may be called by
// another. A communicator outlives its requests and may die before or after those that were split from it.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// A message under way. Its buffer must outlive it. Destroying an unfinished request is a program error
/// (asserted), unless an exception is passing.
class Request {
 public:
  virtual ~Request() = default;
  /// True once finished. Throws LibraryError if the message was not the one expected, PeerError after
  /// interrupt().
  virtual bool test() = 0;
  /// Polls until finished or the communicator's deadline passes (PeerError names peer, purpose and step).
  virtual void wait() = 0;
  /// The peer is dead: the message will never be through, and this object may go. The buffer must outlive the process's last
  /// message, for what is under way cannot be taken back.
  virtual void abandon() = 0;
};
using RequestPtr = std::unique_ptr<Request>;

enum class ReduceOp { sum, min, max, bit_xor };

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Ranks of one color (>= 0) form a communicator, ordered by key. Collective.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  /// What is being waited for, for messages: "gradient bucket 3", step 120 (negative: no step).
  virtual void at(std::string_view purpose, std::int64_t step) = 0;
  /// How long any one wait may last; 600 s unless set. One value for a communicator and all that were split
  /// from it, also for waits under way. Any thread.
  virtual void set_deadline(std::chrono::milliseconds deadline) = 0;
  virtual std::chrono::milliseconds deadline() const = 0;
  /// Ends the wait under way, and every later one, with PeerError; also of the communicators that were split from this one, but
  /// not of the one that it was split from. Any thread.
  virtual void interrupt() = 0;

  /// Messages between two ranks with one tag (0 <= tag < 2^20) arrive in order and must be of the size
  /// expected.
  virtual RequestPtr send(const void* data, std::size_t bytes, int peer, int tag) = 0;
  virtual RequestPtr receive(void* data, std::size_t bytes, int peer, int tag) = 0;

  // Collectives: every rank calls them in the same order. They poll, so a dead peer ends them by the deadline.
  virtual void barrier() = 0;
  virtual void broadcast(void* data, std::size_t bytes, int root) = 0;
  virtual void all_gather(const void* mine, std::size_t bytes, void* all) = 0;  // all: size() * bytes
  virtual void all_to_all(const void* mine, std::size_t bytes_each, void* theirs) = 0;
  /// values = op over all ranks, applied in rank order: one result for a given size(), the same on every rank.
  /// For small vectors (rank 0 computes). bit_xor of doubles is refused.
  virtual void all_reduce(std::span<double> values, ReduceOp op) = 0;
  virtual void all_reduce(std::span<std::int64_t> values, ReduceOp op) = 0;
  virtual void all_reduce(std::span<std::uint64_t> values, ReduceOp op) = 0;
  /// The library's own sum (MPI_Allreduce): bits depend on size(). Blocks without a deadline, because Open
  /// MPI's nonblocking all-reduce is about twice as slow and makes no progress by itself.
  virtual void all_reduce_fast(std::span<float> values) = 0;
  virtual void all_reduce_fast(std::span<const float> mine, std::span<float> sum) = 0;  // mine: left as it is

  /// Strings of any length from every rank, to every rank.
  std::vector<std::string> all_gather_strings(const std::string& mine);
  std::string broadcast_string(const std::string& text, int root);
};

}  // namespace convoy
