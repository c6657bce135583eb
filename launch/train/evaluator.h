#pragma once
// Evaluation of a split (design: section 4): samples in index order in blocks of the micro-batch size, the last padded
// with weight 0; sums in double through a fixed tree over blocks, so the numbers do not depend on ranks or threads.
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "distributed/communicator.h"
#include "io/dataset.h"
#include "io/loader.h"
#include "launch/train/program_io.h"
#include "launch/train/state_memory.h"

namespace convoy {

/// One sample as the model sees it.
struct SampleResult {
  std::int64_t index = 0;          // in the split
  std::int32_t label = 0, predicted = 0;
  float probability = 0;           // of the predicted class
  float loss = 0;
};

struct EvaluationResult {
  double loss = 0;                 // mean over samples
  double top1 = 0, top5 = 0;       // shares of samples
  std::int64_t samples = 0;
  std::vector<SampleResult> each;  // by index, on every rank; only with `keep_samples`
};

struct EvaluatorOptions {
  int threads = 1;
  int loader_threads = 1;
  bool keep_samples = false;
};

/// Collective: every rank calls it with the same arguments.
class Evaluator {
 public:
  /// `memory`: on the backend's device; what it holds when run() is called is evaluated. A device takes one thread.
  Evaluator(const Task& task, const Backend& backend, const StateMemory& memory, const AugmentOptions& augment,
            const EvaluatorOptions& options);
  EvaluationResult run(const Dataset& dataset, Communicator& world);
  /// Of its programs.
  std::size_t memory_bytes() const;

 private:
  EvaluationGraph graph_;
  AugmentOptions augment_;
  EvaluatorOptions options_;
  std::int64_t block_, classes_;
  struct Lane {
    std::unique_ptr<Program> program;
    std::unique_ptr<ProgramIo> io;
  };
  std::vector<Lane> lanes_;        // one a thread
};

}  // namespace convoy
