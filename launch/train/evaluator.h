#pragma once
// Evaluation of a split (design: section 4): samples in index order in blocks of the micro-batch size, the last padded
// with weight 0; sums in double through a fixed tree over blocks, so the numbers do not depend on ranks or threads.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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
  std::vector<Scores> first;       // the mean of the first 1, 2, ... models; only with `growing`
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
  bool growing = false;            // score the means of the first models too
  AugmentOptions augment = {};     // how the loader is to read images
  Crops crops = Crops::one;
  std::optional<PictureCrops> cuts = {};  // what io makes of every picture for them (picture_crops_of)
  /// Called with the samples that this rank has done, and those of its share; by one thread at a time.
  std::function<void(std::int64_t done, std::int64_t share)> progress = {};
};

/// What is read and computed at once, if of every sample there are so many images: of a block's samples as many as have no more
/// images than the block has rows, at least one; the rows of a program, likewise no more than those of the block.
struct EvaluationUnit {
  std::int64_t samples = 0;        // divides the block
  std::int64_t rows = 0;           // divides samples * images
};
EvaluationUnit unit_of(std::int64_t block, std::int64_t images);

/// A sample's class probabilities are the mean, in double, over the images and views of each model and then over the models, in
/// their order (Krizhevsky, Sutskever & Hinton 2012, section 4.1); its loss is minus the logarithm of its label's.
/// Collective: every rank calls it with the same arguments.
class Evaluator {
 public:
  /// Blocks are as large as the first model's micro-batch. Models read the same images and have the same classes; with `cuts`
  /// they take images of its size. UsageError where the images have no such views.
  Evaluator(const std::vector<EvaluatedModel>& models, const Backend& backend, const EvaluatorOptions& options);
  EvaluationResult run(const Dataset& dataset, Communicator& world);
  /// Of its programs.
  std::size_t memory_bytes() const;

  ~Evaluator();

 private:
  struct Member {
    EvaluationGraph graph;
    std::vector<Tensor> transforms;  // one a view
    Tensor no_labels, no_weights;    // the program's, whose loss nobody reads where there are several images or views
    std::size_t image_bytes = 0;
  };
  struct Lane;                       // what a thread computes with
  struct Run;
  Member make_member(Task task) const;

  EvaluatorOptions options_;
  std::int64_t block_, classes_;
  std::int64_t images_;              // of every sample
  EvaluationUnit unit_;
  std::vector<Member> members_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace convoy
