#pragma once
// Fills micro-batches: what the loader's threads do. Private to io.
#include <atomic>
#include <memory>

#include "io/loader.h"

namespace convoy {

/// Tasks are numbered in the order in which they will be asked for.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual std::int64_t tasks() const = 0;
  /// Rows of every micro-batch.
  virtual std::int64_t rows() const = 0;
  /// Tasks of one step.
  virtual std::int64_t tasks_per_step() const = 0;
  /// The task of (step, index). Throws UsageError when this loader does not hold it.
  virtual std::int64_t task_of(std::int64_t step, int index) const = 0;
  /// Any number of threads at once. Returns early, with the batch half filled, once `stop` is set. Throws DataError.
  virtual void fill(std::int64_t task, MicroBatch& batch, const std::atomic<bool>& stop) const = 0;
};

std::unique_ptr<BatchSource> make_training_source(const Dataset& dataset, const TrainingStream& stream);
std::unique_ptr<BatchSource> make_evaluation_source(const Dataset& dataset, std::int64_t block, std::int64_t first_block,
                                                    std::int64_t last_block, const AugmentOptions& augment);

}  // namespace convoy
