#include "launch/train/batch_sums.h"

#include <algorithm>

#include "core/trace/trace.h"

namespace convoy {

BatchSums::BatchSums(std::vector<std::int64_t> elements, int leaves) : elements_(std::move(elements)), leaves_(leaves) {
  for (std::int64_t count : elements_) sums_.emplace_back(static_cast<std::size_t>(count));
  parts_.resize(static_cast<std::size_t>(leaves),
                std::vector<float>(static_cast<std::size_t>(*std::ranges::max_element(elements_))));
}

void BatchSums::connect(Communicator& world, ReductionKind kind, int virtual_workers) {
  reducer_ = make_reducer(world, {.kind = kind,
                                  .virtual_workers = virtual_workers,
                                  .bucket_elements = {*std::ranges::max_element(elements_)},
                                  .rounding = {},
                                  .threads = leaves_,
                                  .before_exchange = {}});
}

void BatchSums::sum(int index, int leaf, const float* part, float* result) {
  std::unique_lock lock(mutex_);
  if (error_) std::rethrow_exception(error_);
  const auto at = static_cast<std::size_t>(index);
  // Shorter sums travel in the place of the longest; what lies behind them is never read.
  std::copy_n(part, elements_[at], parts_[static_cast<std::size_t>(arrived_)].data());
  who_.push_back(leaf);
  index_ = index;
  const std::int64_t mine = exchanges_;
  if (++arrived_ == leaves_) {
    exchange();
    ++exchanges_;
    met_.notify_all();
  } else {
    met_.wait(lock, [&] { return exchanges_ != mine || error_; });
    if (exchanges_ == mine) std::rethrow_exception(error_);
  }
  std::ranges::copy(sums_[at], result);
}

/// The last to arrive does it, while the others wait.
void BatchSums::exchange() {
  const trace::Doing waiting(trace::Activity::exchange, "sums over the batch");
  try {
    reducer_->begin(exchanges_ + 1);
    for (std::size_t i = 0; i < who_.size(); ++i) reducer_->bucket_ready(who_[i], 0, parts_[i].data());
    reducer_->finish();
  } catch (...) {
    error_ = std::current_exception();
    met_.notify_all();
    throw;
  }
  std::vector<float>& sum = sums_[static_cast<std::size_t>(index_)];
  std::copy_n(reducer_->result(0).data(), sum.size(), sum.data());
  arrived_ = 0;
  who_.clear();
}

void BatchSums::recall(int index, float* result) const {
  std::ranges::copy(sums_[static_cast<std::size_t>(index)], result);
}

void BatchSums::abandon(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  met_.notify_all();
}

}  // namespace convoy
