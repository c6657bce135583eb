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
#include "launch/train/views.h"

namespace convoy {

/// One sample as the model sees it.
struct SampleResult {
  std::int64_t index = 0;          // in the split
  std::int32_t label = 0, predicted = 0;
  float probability = 0;           // of the predicted class
  float loss = 0;
};

struct Scores {
  double loss = 0;                 // mean over samples
  double top1 = 0, top5 = 0;       // shares of samples
};

struct EvaluationResult : Scores {
  std::int64_t samples = 0;
  std::vector<Scores> models;      // each model by itself
  std::vector<SampleResult> each;  // by index, on every rank; only with `keep_samples`
};

/// A model with its weights. `memory` is of the backend's device; what it holds when the evaluator runs is evaluated.
struct EvaluatedModel {
  const Task* task = nullptr;
  const StateMemory* memory = nullptr;
};

struct EvaluatorOptions {
  int threads = 1;                 // a device takes one
  int loader_threads = 1;
  bool keep_samples = false;
  AugmentOptions augment = {};     // how the loader is to read images
  Crops crops = Crops::one;
};

/// A sample's class probabilities are the mean, in double, over the views of each model and then over the models, in their
/// order (Krizhevsky, Sutskever & Hinton 2012, section 4.1); its loss is minus the logarithm of its label's.
/// Collective: every rank calls it with the same arguments.
class Evaluator {
 public:
  /// Blocks are as large as the first model's micro-batch. Models read the same images and have the same classes. UsageError
  /// where the images have no such views.
  Evaluator(const std::vector<EvaluatedModel>& models, const Backend& backend, const EvaluatorOptions& options);
  EvaluationResult run(const Dataset& dataset, Communicator& world);
  /// Of its programs.
  std::size_t memory_bytes() const;

  ~Evaluator();

 private:
  struct Member {
    EvaluationGraph graph;
    std::vector<Tensor> transforms;  // one a view
  };
  struct Lane;                       // what a thread computes with
  struct Run;
  EvaluatorOptions options_;
  std::int64_t block_, classes_;
  std::vector<Member> members_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace convoy
