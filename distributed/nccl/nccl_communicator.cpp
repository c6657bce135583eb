#include "distributed/nccl/nccl_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/tensor/error.h"
#include "distributed/nccl/abort.h"
#include "distributed/nccl/check.h"

namespace convoy::nccl {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kOldest = NCCL_VERSION(2, 18, 3);    // what it uses of ncclConfig_t, and group calls without blocking
constexpr milliseconds kGoodbyeMayTake{10'000};    // ncclCommFinalize, before the communicator is aborted instead; and that abort
constexpr std::chrono::microseconds kSpin{100};    // polls of a state that mostly is reached at once

int version_number() {
  int number = 0;
  CONVOY_NCCL(ncclGetVersion(&number));
  return number;
}

/// A name for the world that is about to be made, from rank 0 to everybody; every rank throws where rank 0 could not make one.
ncclUniqueId agree_on_id(Communicator& communicator) {
  struct {
    ncclUniqueId id;
    char why_not[256];
  } told = {};
  if (communicator.rank() == 0) {
    const ncclResult_t status = ncclGetUniqueId(&told.id);
    if (status != ncclSuccess) fmt::format_to_n(told.why_not, sizeof told.why_not - 1, "{}", words_for(status, nullptr));
  }
  communicator.at("the start of NCCL", -1);
  communicator.broadcast(&told, sizeof told, 0);
  if (told.why_not[0] != '\0') throw LibraryError(fmt::format("ncclGetUniqueId on rank 0: {}", told.why_not));
  return told.id;
}

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& communicator, Device& device)
      : over_(communicator), device_(device), rank_(communicator.rank()), size_(communicator.size()) {
    const ncclUniqueId id = agree_on_id(communicator);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    // Outlives the abort: freeing what a kernel waits to write would wait for the kernel.
    const DeviceMemory letters = device.allocate(2 * static_cast<std::size_t>(size_) * kLetter);
    try {
      CONVOY_NCCL(ncclCommInitRankConfig(&comm_, size_, id, rank_, &config));
      wait_until_ready("the start of NCCL");
      if (size_ > 1) meet_everybody(letters.get());
    } catch (...) {
      abort();
      static_cast<void>(abort_.has_ended(patience()));
      throw;
    }
  }

  ~NcclCommunicator() override {
    if (std::uncaught_exceptions() == exceptions_at_start_) say_goodbye();
    abort();  // nothing, after a goodbye
    // Where a graph that was captured outlives us, the abort ends when that is destroyed.
    static_cast<void>(abort_.has_ended(patience()));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  // A group is handed to NCCL as a whole, for NCCL's own begin and end belong to a thread: an exception in between would
  // leave it open, and what ends the communicator would be put off until it is closed.
  void begin_group() override {
    if (std::exchange(in_group_, true)) throw Error("a group of messages within a group");
    group_.clear();
  }
  void send(const void* data, std::size_t bytes, int peer, Stream on) override {
    add({const_cast<void*>(data), bytes, peer, on, true});  // only read
  }
  void receive(void* data, std::size_t bytes, int peer, Stream on) override { add({data, bytes, peer, on, false}); }

  void end_group() override {
    if (!std::exchange(in_group_, false)) throw Error("a group of messages ends that has not begun");
    if (group_.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      check_alive();
      CONVOY_NCCL(ncclGroupStart());
      ncclResult_t enqueued = ncclSuccess;
      for (const Message& message : group_)
        if (enqueued == ncclSuccess || enqueued == ncclInProgress) enqueued = enqueue(message);
      const ncclResult_t ended = ncclGroupEnd();
      check_call(enqueued, "ncclSend or ncclRecv");
      check_call(ended, "ncclGroupEnd");
    }
    wait_until_ready("a group of messages");
  }

  void all_reduce_fast(float* values, std::size_t elements, Stream on) override {
    {
      const std::lock_guard lock(mutex_);
      check_alive();
      check_call(ncclAllReduce(values, values, elements, ncclFloat, ncclSum, comm_, native(on)), "ncclAllReduce");
    }
    wait_until_ready("an all-reduce");
  }

  bool can_be_captured() const override { return true; }

  std::string error() override {
    const std::lock_guard lock(mutex_);
    if (comm_ == nullptr) return {};
    const ncclResult_t state = state_locked();
    return state == ncclSuccess || state == ncclInProgress ? std::string() : words_for(state, comm_);
  }

  void abort() noexcept override {
    const std::lock_guard lock(mutex_);
    if (comm_ != nullptr) abort_.start(std::exchange(comm_, nullptr));
  }

  std::string library_version() const override { return "NCCL " + version(); }

 private:
  struct Message {
    void* data;
    std::size_t bytes;
    int peer;
    Stream on;
    bool sending;
  };

  void add(const Message& message) {
    if (!in_group_) throw Error("a message between devices outside of a group");
    group_.push_back(message);
  }

  ncclResult_t enqueue(const Message& message) {
    const cudaStream_t stream = native(message.on);
    return message.sending ? ncclSend(message.data, message.bytes, ncclInt8, message.peer, comm_, stream)
                           : ncclRecv(message.data, message.bytes, ncclInt8, message.peer, comm_, stream);
  }

  cudaStream_t native(Stream on) const { return static_cast<cudaStream_t>(device_.native_stream(on)); }

  // With the lock held:
  void check_alive() const {
    if (comm_ == nullptr) throw LibraryError("NCCL: the communicator was aborted");
  }
  void check_call(ncclResult_t status, const char* call) const {
    if (status == ncclSuccess || status == ncclInProgress) return;
    throw LibraryError(fmt::format("{}: {}", call, words_for(status, comm_)));
  }
  ncclResult_t state_locked() const {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
    return asked == ncclSuccess ? state : asked;
  }

  /// Whether what was called last has been done by the deadline: enqueued, not finished by the device. Before that, no other
  /// call may be made.
  bool becomes_ready(milliseconds deadline, std::string_view what) {
    const auto start = Clock::now();
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        check_alive();
        const ncclResult_t state = state_locked();
        if (state == ncclSuccess) return true;
        if (state != ncclInProgress) throw LibraryError(fmt::format("{}: {}", what, words_for(state, comm_)));
      }
      const auto waited = Clock::now() - start;
      if (waited > deadline) return false;
      waited < kSpin ? std::this_thread::yield() : std::this_thread::sleep_for(kSpin);
    }
  }

  void wait_until_ready(std::string_view what) {
    const milliseconds deadline = over_.deadline();
    if (becomes_ready(deadline, what)) return;
    abort();
    throw PeerError(fmt::format("rank {} waited {:.1f} s for the other ranks in {} (NCCL; NCCL_DEBUG=INFO says more)", rank_,
                                std::chrono::duration<double>(deadline).count(), what));
  }

  /// NCCL connects two ranks at their first message, and its all-reduce at the first one: now, with a deadline, and not
  /// inside a capture.
  void meet_everybody(std::byte* letters) {
    std::byte* const mine = letters;
    std::byte* const theirs = letters + static_cast<std::size_t>(size_) * kLetter;
    begin_group();
    for (int peer = 0; peer < size_; ++peer) {
      if (peer == rank_) continue;
      send(mine + static_cast<std::size_t>(peer) * kLetter, kLetter, peer, Stream::communication);
      receive(theirs + static_cast<std::size_t>(peer) * kLetter, kLetter, peer, Stream::communication);
    }
    end_group();
    all_reduce_fast(reinterpret_cast<float*>(mine), kLetter / sizeof(float), Stream::communication);
    const std::unique_ptr<Event> arrived = device_.make_event();
    device_.record(Stream::communication, *arrived);
    wait_for_first_messages(*arrived);
  }

  void wait_for_first_messages(const Event& arrived) {
    const auto start = Clock::now();
    while (!device_.done(arrived)) {
      if (const std::string words = error(); !words.empty()) throw LibraryError("the first messages: " + words);
      if (Clock::now() - start > over_.deadline())
        throw PeerError(fmt::format("rank {} waited {:.1f} s for the first messages of the other ranks' devices (NCCL)", rank_,
                                    std::chrono::duration<double>(over_.deadline()).count()));
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  milliseconds patience() const { return std::min(kGoodbyeMayTake, over_.deadline()); }
  ncclComm_t take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(comm_, nullptr);
  }

  /// Frees the communicator after all that is under way, if the peers do the same; else it is left to abort().
  void say_goodbye() {
    try {
      {
        const std::lock_guard lock(mutex_);
        if (comm_ == nullptr) return;
        check_call(ncclCommFinalize(comm_), "ncclCommFinalize");
      }
      if (!becomes_ready(patience(), "ncclCommFinalize")) return;
      if (const ncclComm_t finalized = take(); finalized != nullptr) static_cast<void>(ncclCommDestroy(finalized));
    } catch (const Error&) {
      // It is broken: abort() frees it.
    }
  }

  static constexpr std::size_t kLetter = 16;  // bytes

  Communicator& over_;
  Device& device_;
  const int rank_, size_;
  const int exceptions_at_start_ = std::uncaught_exceptions();
  bool in_group_ = false;
  std::vector<Message> group_;
  std::mutex mutex_;            // guards comm_, also while NCCL uses it: what abort() takes is in no call
  ncclComm_t comm_ = nullptr;   // null once it is freed, or about to be
  Abort abort_;
};

}  // namespace

std::string version() {
  const int number = version_number();
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

std::unique_ptr<DeviceCommunicator> make_communicator(Communicator& communicator, Device& device) {
  if (version_number() < kOldest)
    throw UsageError(fmt::format("NCCL {} is too old: expected 2.18.3 or newer (LD_LIBRARY_PATH says which one is loaded)",
                                 version()));
  return std::make_unique<NcclCommunicator>(communicator, device);
}

}  // namespace convoy::nccl
