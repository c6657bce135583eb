#include "block.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "emulated_language.h"
#include "fiber.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

constexpr int kLanes = 32;

/// What a lane brings to an exchange.
struct Offer {
  Place place;
  Exchange kind;
  std::uint32_t mask;
  std::uint64_t value;
  int source;
};

enum class State { fresh, ready, at_barrier, at_exchange, ended };

struct Thread {
  uint3 index;
  State state = State::fresh;
  Fiber* fiber = nullptr;    // where it is suspended
  Place barrier{};
  bool predicate = false;
  Offer offer{};
  std::uint64_t result = 0;
};

/// All memory of blocks, shared by all OS threads: one kernel runs at a time.
class Executor {
 public:
  void run(const void* kernel, dim3 grid, dim3 block, const std::function<void()>& body, Shuffler& shuffler);
  int barrier(const Place& place, bool predicate);
  std::uint64_t exchange(const Offer& offer);
  int lane() const { return running_ % kLanes; }

 private:
  void run_block();
  void start_fresh_threads();
  void resume_ready_threads();
  void enter(int thread, Fiber& fiber);
  void suspend(State state);
  bool release_barrier();
  void resolve_exchange(int thread);
  void check_offer(const Offer& offer, int thread) const;
  [[noreturn]] void report_stuck() const;
  std::string described(int thread) const;
  void work();

  const void* kernel_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  Shuffler* shuffler_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<int> order_, ready_;
  std::size_t next_ = 0;          // of order_: the next fresh thread
  int running_ = 0, at_barrier_ = 0, ended_ = 0;
  std::exception_ptr failure_;
  Fiber* scheduler_ = nullptr;
  Fiber* current_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

std::mutex one_kernel;
Executor& executor() {
  static Executor the_executor;
  return the_executor;
}

/// A fiber's life: it runs fresh threads until there are none, and then waits to be needed again.
void Executor::work() {
  for (;;) {
    try {
      (*body_)();
    } catch (...) {
      if (!failure_) failure_ = std::current_exception();
    }
    threads_[static_cast<std::size_t>(running_)].state = State::ended;
    ++ended_;
    if (!failure_ && next_ < order_.size()) {
      running_ = order_[next_++];
      threadIdx = threads_[static_cast<std::size_t>(running_)].index;
      continue;
    }
    idle_.push_back(current_);
    current_->switch_to(*scheduler_);
  }
}

void Executor::enter(int thread, Fiber& fiber) {
  running_ = thread;
  threadIdx = threads_[static_cast<std::size_t>(thread)].index;
  current_ = &fiber;
  scheduler_->switch_to(fiber);
}

void Executor::suspend(State state) {
  const int self = running_;
  Thread& thread = threads_[static_cast<std::size_t>(self)];
  thread.state = state;
  thread.fiber = current_;
  current_->switch_to(*scheduler_);
}

void Executor::start_fresh_threads() {
  while (!failure_ && next_ < order_.size()) {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>([](void* self) { static_cast<Executor*>(self)->work(); }, this));
      idle_.push_back(fibers_.back().get());
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    enter(order_[next_++], *fiber);
  }
}

void Executor::resume_ready_threads() {
  while (!failure_ && !ready_.empty()) {
    std::vector<int> round;
    round.swap(ready_);
    shuffler_->shuffle(round);
    for (const int thread : round) {
      if (failure_) return;
      enter(thread, *threads_[static_cast<std::size_t>(thread)].fiber);
    }
  }
}

void Executor::run_block() {
  for (Thread& thread : threads_) thread.state = State::fresh;
  shuffler_->shuffle(order_);
  next_ = 0;
  at_barrier_ = ended_ = 0;
  ready_.clear();
  start_fresh_threads();
  do resume_ready_threads();
  while (!failure_ && release_barrier());
  if (!failure_ && ended_ < static_cast<int>(threads_.size())) report_stuck();
  if (failure_) std::rethrow_exception(failure_);
}

int Executor::barrier(const Place& place, bool predicate) {
  Thread& thread = threads_[static_cast<std::size_t>(running_)];
  thread.barrier = place;
  thread.predicate = predicate;
  ++at_barrier_;
  suspend(State::at_barrier);
  return static_cast<int>(thread.result);
}

/// Whether all threads of the block were at one barrier, and go on.
bool Executor::release_barrier() {
  if (at_barrier_ == 0 || at_barrier_ < static_cast<int>(threads_.size())) return false;
  std::uint64_t count = 0;
  for (const Thread& thread : threads_) {
    if (thread.barrier != threads_[0].barrier) return false;
    count += thread.predicate;
  }
  at_barrier_ = 0;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    threads_[i].state = State::ready;
    threads_[i].result = count;
    ready_.push_back(static_cast<int>(i));
  }
  return true;
}

void Executor::check_offer(const Offer& offer, int thread) const {
  const int lane = thread % kLanes, first = thread - lane;
  const int lanes = std::min(kLanes, static_cast<int>(threads_.size()) - first);
  const std::uint32_t present = lanes == kLanes ? 0xffffffffu : (1u << lanes) - 1;
  const auto fail = [&](const std::string& what) {
    throw KernelError(name_of_function(kernel_) + ", " + offer.place.file + ":" + std::to_string(offer.place.line) + ": " +
                      offer.place.call + " of thread " + std::to_string(thread) + what);
  };
  if ((offer.mask >> lane & 1) == 0) fail(" names a mask without itself");
  if ((offer.mask & ~present) != 0)
    fail(" names lanes that the block of " + std::to_string(threads_.size()) + " threads does not have");
  if (offer.kind == Exchange::value && (offer.mask >> (offer.source & 31) & 1) == 0)
    fail(" reads lane " + std::to_string(offer.source) + ", which is not in its mask");
}

std::uint64_t Executor::exchange(const Offer& offer) {
  const int self = running_;
  check_offer(offer, self);
  Thread& thread = threads_[static_cast<std::size_t>(self)];
  thread.offer = offer;
  thread.state = State::at_exchange;
  resolve_exchange(self);
  suspend(thread.state);
  return thread.result;
}

/// If all lanes that `thread` names are at the same exchange, they go on.
void Executor::resolve_exchange(int thread) {
  const Offer& offer = threads_[static_cast<std::size_t>(thread)].offer;
  Thread* const lanes = threads_.data() + (thread - thread % kLanes);
  std::uint64_t ballot = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((offer.mask >> lane & 1) == 0) continue;
    const Thread& other = lanes[lane];
    if (other.state != State::at_exchange || other.offer.mask != offer.mask || !(other.offer.place == offer.place)) return;
    ballot |= static_cast<std::uint64_t>(other.offer.value != 0) << lane;
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((offer.mask >> lane & 1) == 0) continue;
    Thread& other = lanes[lane];
    other.result = other.offer.kind == Exchange::value ? lanes[other.offer.source & 31].offer.value : ballot;
    other.state = State::ready;
    ready_.push_back(static_cast<int>(&other - threads_.data()));
  }
}

std::string Executor::described(int i) const {
  const Thread& thread = threads_[static_cast<std::size_t>(i)];
  if (thread.state == State::ended) return "ended";
  const Place& place = thread.state == State::at_barrier ? thread.barrier : thread.offer.place;
  return std::string("waits in ") + place.call + " at " + place.file + ":" + std::to_string(place.line);
}

void Executor::report_stuck() const {
  std::string message = name_of_function(kernel_) + ", block " + std::to_string(blockIdx.x) + "," +
                        std::to_string(blockIdx.y) + "," + std::to_string(blockIdx.z) + ": threads wait for others that never come:";
  const int n = static_cast<int>(threads_.size());
  for (int first = 0; first < n;) {
    int end = first + 1;
    while (end < n && described(end) == described(first)) ++end;
    message += (first == 0 ? " " : "; ") + std::to_string(first) + ".." + std::to_string(end - 1) + " " + described(first);
    first = end;
  }
  throw KernelError(message);
}

void Executor::run(const void* kernel, dim3 grid, dim3 block, const std::function<void()>& body, Shuffler& shuffler) {
  Fiber scheduler;
  scheduler_ = &scheduler;
  kernel_ = kernel;
  body_ = &body;
  shuffler_ = &shuffler;
  failure_ = nullptr;
  blockDim = block;
  gridDim = grid;
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  threads_.assign(threads, {});
  order_.resize(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    const auto t = static_cast<unsigned>(i);
    threads_[i].index = {t % block.x, t / block.x % block.y, t / block.x / block.y};
    order_[i] = static_cast<int>(i);
  }
  std::vector<std::uint64_t> blocks(std::size_t{grid.x} * grid.y * grid.z);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
  shuffler.shuffle(blocks);
  try {
    for (const std::uint64_t b : blocks) {
      blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                  static_cast<unsigned>(b / grid.x / grid.y)};
      fill_shared_memory();
      run_block();
    }
  } catch (...) {
    // Suspended threads are given up where they are.
    idle_.clear();
    for (const auto& fiber : fibers_) {
      fiber->restart();
      idle_.push_back(fiber.get());
    }
    throw;
  }
}

}  // namespace

void run_grid(const void* kernel, dim3 grid, dim3 block, const std::function<void()>& thread, Shuffler& shuffler) {
  const std::lock_guard lock(one_kernel);
  executor().run(kernel, grid, block, thread, shuffler);
}

int block_barrier(const Place& place, bool predicate) { return executor().barrier(place, predicate); }
std::uint64_t warp_exchange(const Place& place, Exchange kind, std::uint32_t mask, std::uint64_t value, int source) {
  return executor().exchange({place, kind, mask, value, source});
}
int lane_of_running_thread() { return executor().lane(); }

}  // namespace emulator
