#include "distributed/reduction.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/exchange.h"
#include "distributed/local_sums.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLookEvery{50};  // for a deadline that was changed while finish() waits

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class TreeReducer final : public GradientReducer {
 public:
  TreeReducer(std::unique_ptr<Communicator> communicator, const ReducerOptions& options)
      : communicator_(std::move(communicator)),
        elements_(options.bucket_elements),
        rounding_(options.rounding),
        before_exchange_(options.before_exchange) {
    const auto [first, last] =
        share_of(communicator_->rank(), communicator_->size(), 0, options.virtual_workers);
    rounding_.resize(elements_.size(), SumRounding::none);
    LargestBuckets largest;
    for (std::size_t bucket = 0; bucket < elements_.size(); ++bucket) {
      const auto elements = static_cast<std::size_t>(elements_[bucket]);
      local_.push_back(std::make_unique<LocalSums>(first, last, options.virtual_workers, elements, options.threads,
                                                   rounding_[bucket], bucket < options.lends.size() && options.lends[bucket]));
      names_.push_back(fmt::format("{} {}", options.name, bucket));
      largest.elements = std::max(largest.elements, elements);
      if (rounding_[bucket] != SumRounding::none) largest.rounded = std::max(largest.rounded, elements);
    }
    exchange_ = make_exchange(*communicator_, options.kind, options.virtual_workers, largest);
    results_.resize(elements_.size());
    reduced_ = elements_.size();
    thread_ = std::thread([this] { communicate(); });
  }

  ~TreeReducer() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    communicator_->interrupt();
    work_.notify_all();
    thread_.join();
  }

  void begin(std::int64_t step) override {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
    if (reduced_ != elements_.size())
      throw Error(fmt::format("step {} began before step {} was finished", step, step_));
    for (auto& sums : local_) sums->clear();
    step_ = step;
    reduced_ = 0;
  }

  void bucket_ready(int leaf, int bucket, const float* data) override {
    check_error();
    if (local_.at(static_cast<std::size_t>(bucket))->add_leaf(leaf, data)) announce();
  }
  void lend_bucket(int leaf, int bucket, float* data) override {
    check_error();
    if (local_.at(static_cast<std::size_t>(bucket))->lend_leaf(leaf, data)) announce();
  }

  void finish() override {
    const Clock::time_point start = Clock::now();
    const trace::Doing waiting(trace::Activity::idle, "waiting for the reduction");
    std::unique_lock lock(mutex_);
    const auto settled = [&] { return error_ || reduced_ == elements_.size(); };
    while (!done_.wait_for(lock, kLookEvery, settled)) {
      if (Clock::now() - start > communicator_->deadline()) check_all_handed_in();
    }
    exposed_seconds_ += seconds_since(start);
    if (error_) std::rethrow_exception(error_);
  }

  std::span<const float> result(int bucket) const override {
    const auto at = static_cast<std::size_t>(bucket);
    return {results_.at(at), static_cast<std::size_t>(elements_[at])};
  }

  double exposed_seconds() const override { return exposed_seconds_; }
  double communication_seconds() const override {
    const std::lock_guard lock(mutex_);
    return communication_seconds_;
  }
  std::size_t memory_bytes() const override {
    std::size_t bytes = exchange_->memory_bytes();
    for (const auto& sums : local_) bytes += sums->memory_bytes();
    return bytes;
  }
  std::int64_t sent_bytes() const override {
    const std::lock_guard lock(mutex_);
    return sent_bytes_;
  }

 private:
  void check_error() const {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

  /// A bucket's local sums are complete.
  void announce() {
    const std::lock_guard lock(mutex_);  // so that the communication thread cannot look and miss the call
    work_.notify_all();
  }

  /// The communication thread: buckets in the order of their numbers, the same on every rank.
  void communicate() {
    trace::name_thread("communication");
    try {
      while (const LocalSums* sums = next_bucket()) {
        const Clock::time_point start = Clock::now();
        const std::size_t bucket = reduced_;  // only this thread and begin(), not now, change it
        if (before_exchange_) before_exchange_(step_);
        communicator_->at(names_[bucket], step_);
        const trace::Doing exchanging(trace::Activity::exchange, names_[bucket],
                                      elements_[bucket] * static_cast<std::int64_t>(sizeof(float)));
        results_[bucket] = exchange_->run(sums->sums(), static_cast<std::size_t>(elements_[bucket]), rounding_[bucket],
                                          static_cast<int>(bucket));
        const std::lock_guard lock(mutex_);
        communication_seconds_ += seconds_since(start);
        sent_bytes_ = exchange_->sent_bytes();
        ++reduced_;
        done_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      done_.notify_all();
    }
  }

  /// Waits until the next bucket's local sums are complete; null when it is time to go.
  const LocalSums* next_bucket() {
    trace::doing(trace::Activity::idle, "waiting for gradients");
    std::unique_lock lock(mutex_);
    work_.wait(lock, [&] { return stop_ || (reduced_ < elements_.size() && local_[reduced_]->complete()); });
    return stop_ ? nullptr : local_[reduced_].get();
  }

  void check_all_handed_in() const {
    const int missing = local_[reduced_]->missing_leaf();
    if (missing < 0) return;  // it is in exchange, and that has deadlines of its own
    throw Error(
        fmt::format("{} of step {}: micro-batch {} was not handed in", names_[reduced_], step_, missing));
  }

  std::unique_ptr<Communicator> communicator_;  // of the communication thread
  const std::vector<std::int64_t> elements_;
  std::vector<SumRounding> rounding_;  // by bucket
  const std::function<void(std::int64_t)> before_exchange_;
  std::vector<std::unique_ptr<LocalSums>> local_;
  std::vector<std::string> names_;
  std::unique_ptr<Exchange> exchange_;
  std::vector<const float*> results_;
  double exposed_seconds_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_, done_;
  std::int64_t step_ = -1;
  std::size_t reduced_ = 0;  // buckets reduced in this step
  bool stop_ = false;
  std::exception_ptr error_;
  double communication_seconds_ = 0;
  std::int64_t sent_bytes_ = 0;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace

std::unique_ptr<GradientReducer> make_reducer(Communicator& communicator, const ReducerOptions& options) {
  if (options.virtual_workers < communicator.size()) {
    throw UsageError(fmt::format(
        "{} ranks, but only {} virtual workers: every rank needs a micro-batch. Start at most {} ranks, or set "
        "--virtual-workers={} or more (another run with other bits)",
        communicator.size(), options.virtual_workers, options.virtual_workers, communicator.size()));
  }
  if (options.threads < 1) throw UsageError(fmt::format("{} threads: expected 1 or more", options.threads));
  return std::make_unique<TreeReducer>(communicator.split(0, communicator.rank()), options);
}

}  // namespace convoy
