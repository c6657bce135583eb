#pragma once
// The one door to other processes. A world of one is a real one. Every wait has a deadline, a name and a step: the
// current name and step are set by the caller (`at`) and stand in the error when a peer is silent.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// A message under way. Its buffer must outlive it; destroying an unfinished request is a program error (asserted).
class Request {
 public:
  virtual ~Request() = default;
  /// True once finished. Throws PeerError if the peer failed.
  virtual bool test() = 0;
  /// Polls until finished or the communicator's deadline passes (PeerError names peer, purpose and step).
  virtual void wait() = 0;
};
using RequestPtr = std::unique_ptr<Request>;

enum class ReduceOp { sum, min, max, bit_xor };

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Ranks of one color form a communicator, ordered by key.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  /// What is being waited for, for messages: "gradient bucket 3", step 120.
  virtual void at(std::string_view purpose, std::int64_t step) = 0;
  virtual void set_deadline(std::chrono::seconds deadline) = 0;

  virtual RequestPtr send(const void* data, std::size_t bytes, int peer, int tag) = 0;
  virtual RequestPtr receive(void* data, std::size_t bytes, int peer, int tag) = 0;

  // Collectives: every rank calls them in the same order. They poll, so a dead peer ends them by the deadline.
  virtual void barrier() = 0;
  virtual void broadcast(void* data, std::size_t bytes, int root) = 0;
  virtual void all_gather(const void* mine, std::size_t bytes, void* all) = 0;   // all: size() * bytes
  virtual void all_to_all(const void* mine, std::size_t bytes_each, void* theirs) = 0;
  virtual void all_reduce(std::span<double> values, ReduceOp op) = 0;            // in rank order: deterministic
  virtual void all_reduce(std::span<std::int64_t> values, ReduceOp op) = 0;
  virtual void all_reduce(std::span<std::uint64_t> values, ReduceOp op) = 0;
  /// The library's own all-reduce (MPI_Allreduce): fast, bits depend on size().
  virtual void all_reduce_fast(std::span<float> values) = 0;

  /// Strings of any length from every rank, to every rank.
  std::vector<std::string> all_gather_strings(const std::string& mine);
  std::string broadcast_string(const std::string& text, int root);
};

}  // namespace convoy
