#pragma once
// The sums over all micro-batches of a batch that ops ask for in the midst of a step (batch_sum): the micro-batches of all
// ranks meet there.
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "distributed/reduction.h"

namespace convoy {

/// Threads: one for each micro-batch of this rank, all of them in the same order of sums.
class BatchSums {
 public:
  /// `elements`: of each sum, by its index. `leaves`: micro-batches of this rank.
  BatchSums(std::vector<std::int64_t> elements, int leaves);
  /// Collective, once, before the first step.
  void connect(Communicator& world, ReductionKind kind, int virtual_workers);

  /// Waits until every micro-batch of the batch has handed in its part, and writes the sum, which is summed in the fixed tree.
  /// Rethrows what ended the wait of any thread of this rank.
  void sum(int index, int leaf, const float* part, float* result);
  /// The sum of the last step again, without a word to anybody.
  void recall(int index, float* result) const;
  /// A thread of this rank ends by `error` without its part: all others end by it too.
  void abandon(std::exception_ptr error);

 private:
  void exchange();

  const std::vector<std::int64_t> elements_;
  const int leaves_;
  std::unique_ptr<GradientReducer> reducer_;
  std::vector<std::vector<float>> sums_;   // by index, of the last step
  std::vector<std::vector<float>> parts_;  // by leaf of this rank, as long as the longest sum
  std::mutex mutex_;
  std::condition_variable met_;
  std::int64_t exchanges_ = 0;             // done
  int arrived_ = 0, index_ = 0;
  std::vector<int> who_;                   // the leaves that have arrived
  std::exception_ptr error_;
};

}  // namespace convoy
