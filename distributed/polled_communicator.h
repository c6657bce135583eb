#pragma once
// What the MPI and the thread communicator share: waits that poll with a deadline and name the silent peer, and
// the collectives, made of messages between two ranks so that every wait knows whom it waits for.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace convoy {

/// Set by interrupt(): it holds for a communicator and for those that were split from it.
struct Interruption {
  std::atomic<bool> here = false;
  std::shared_ptr<const Interruption> above = nullptr;  // of the communicator that this one was split from

  bool any() const { return here || (above && above->any()); }
};

/// Who waits, for what and for how long: everything that the message about a silent peer needs.
struct WaitSite {
  std::vector<int> world_ranks;  // of each rank of the communicator, for messages
  int rank = 0;                  // of this process in the communicator
  std::string purpose;
  std::int64_t step = -1;
  std::shared_ptr<std::atomic<std::int64_t>> deadline_ms;  // shared with all communicators of one origin
  std::shared_ptr<Interruption> interruption = std::make_shared<Interruption>();

  /// "rank 2 waited 600 s for rank 0 in gradient bucket 3 of step 120"
  [[noreturn]] void throw_silent(int peer, std::chrono::nanoseconds waited) const;
  [[noreturn]] void throw_interrupted() const;
};

class PolledRequest : public Request {
 public:
  PolledRequest(const WaitSite& site, int peer, std::size_t bytes) : site_(site), peer_(peer), bytes_(bytes) {}
  ~PolledRequest() override;
  bool test() final;
  void wait() final { wait(std::chrono::milliseconds(0)); }
  void abandon() final { abandoned_ = true; }
  /// `grace`: added to the deadline when the peer itself waits for others, so that it, who knows which one is
  /// missing, speaks first.
  void wait(std::chrono::milliseconds grace);

 protected:
  /// True once the message is through.
  virtual bool poll() = 0;
  bool done() const { return done_; }
  bool abandoned() const { return abandoned_; }

 private:
  const WaitSite& site_;
  int peer_;
  std::size_t bytes_;
  bool done_ = false;
  bool abandoned_ = false;
};

class PolledCommunicator : public Communicator {
 public:
  int rank() const final { return site_.rank; }
  int size() const final { return static_cast<int>(site_.world_ranks.size()); }
  std::unique_ptr<Communicator> split(int color, int key) final;
  void at(std::string_view purpose, std::int64_t step) final;
  void set_deadline(std::chrono::milliseconds deadline) final;
  std::chrono::milliseconds deadline() const final;
  void interrupt() final { site_.interruption->here = true; }

  RequestPtr send(const void* data, std::size_t bytes, int peer, int tag) final;
  RequestPtr receive(void* data, std::size_t bytes, int peer, int tag) final;

  /// Rank 0 hears from all, then answers all: 2 (R - 1) empty messages.
  void barrier() final;
  /// Binomial tree: ceil(log2 R) steps of `bytes`.
  void broadcast(void* data, std::size_t bytes, int root) final;
  /// To rank 0, then broadcast: R - 1 messages of `bytes`, ceil(log2 R) steps of R * bytes.
  void all_gather(const void* mine, std::size_t bytes, void* all) final;
  /// R - 1 messages out and in at once.
  void all_to_all(const void* mine, std::size_t bytes_each, void* theirs) final;
  void all_reduce(std::span<double> values, ReduceOp op) final;
  void all_reduce(std::span<std::int64_t> values, ReduceOp op) final;
  void all_reduce(std::span<std::uint64_t> values, ReduceOp op) final;

 protected:
  using PolledRequestPtr = std::unique_ptr<PolledRequest>;
  virtual PolledRequestPtr start_send(const void* data, std::size_t bytes, int peer, int tag) = 0;
  virtual PolledRequestPtr start_receive(void* data, std::size_t bytes, int peer, int tag) = 0;
  /// `members`: ranks of this communicator in the order they have in the new one; all are known to be present.
  virtual std::unique_ptr<PolledCommunicator> make_group(int color, int key,
                                                         const std::vector<int>& members) = 0;

  const WaitSite& site() const { return site_; }
  /// The first communicator of an origin: rank i is world rank i.
  void open(int rank, int size);

 private:
  template <typename T>
  void all_reduce_values(std::span<T> values, ReduceOp op);
  std::chrono::milliseconds grace() const;

  WaitSite site_;
};

}  // namespace convoy
