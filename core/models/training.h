#pragma once
// From a model to the graphs that a run needs: the micro-batch graph (prepare, forward, loss, backward, communication)
// and the evaluation graph (prepare, forward, loss).
#include <cstdint>
#include <string>
#include <vector>

#include "core/graph/passes.h"
#include "core/models/registry.h"

namespace convoy {

/// What is trained on what.
struct Task {
  std::string model;
  std::map<std::string, std::string> options;  // "model.NAME" as given by the user
  std::int64_t classes = 0;
  std::int64_t micro_batch = 0;    // samples b of one micro-batch
  Shape image;                     // [s.., c] as stored
  DType stored = DType::u8;
  PrepareAttributes prepare;       // size 0 on an axis: the whole image
  std::uint64_t dropout_seed = 0;
  std::int64_t normalised_micro_batches = 0;  // Graph's
  double label_smoothing = 0;      // while training: LossAttributes
  std::vector<std::pair<std::string, Initializer>> initializers = {};  // of the weights of layers by patterns; the last that matches
  std::vector<std::string> frozen = {};  // Graph's: layers that are not trained
  bool mixes = false;              // mixup: every sample of training has two labels, each with a weight
  DType real = DType::f32;
  DType compute = DType::f32;      // bf16, f16: mixed precision (lower_precision)
  Recompute recompute = Recompute::off;  // while training; changes no bit
};

/// Values of the caller's in both graphs. `keys` is absent where no op draws random numbers, `loss_scale` (f32 [1]) where the
/// gradients are not scaled: the training graph has it in f16 alone.
struct TaskInputs {
  Value images, transforms, labels, weights, keys, loss_scale;
  Value partner_labels, partner_weights;  // the second label (i32 [b]) and its weight (f32 [b]); training with Task::mixes alone
};

struct TrainingGraph {
  Graph graph;
  TaskInputs inputs;
  std::vector<ParameterGradient> gradients;
  Value loss, weight, top1, top5;  // sums over the micro-batch, f32 [1], of the model's own logits; leaves like the gradients
  std::vector<Value> leaves;       // all that goes through the reduction tree
  BucketLayout buckets;
  std::string hash;                // graph_hash without recomputation: graphs of one hash give the same bits
};
/// `gradient_sums`: what the sums of gradients, and nothing else, are rounded to (--reduction-dtype).
TrainingGraph build_training_graph(const Task& task, std::size_t bucket_bytes,
                                   SumRounding gradient_sums = SumRounding::none);

/// The micro-batch graph of one of two towers (place_tower), with buckets of the sums that are made there; the hash stays that
/// of the whole. `made_at`: by value id, its place among the ops of both towers. `bucket_bytes` and `gradient_sums`: as for the
/// whole.
struct TowerGraph {
  TrainingGraph training;
  std::vector<int> made_at;
};
TowerGraph part_of_tower(const TrainingGraph& whole, int tower, std::size_t bucket_bytes,
                         SumRounding gradient_sums = SumRounding::none);

struct EvaluationGraph {
  Graph graph;
  TaskInputs inputs;
  Value logits;                    // [b, classes], in the type that the loss is computed in
  Value probabilities;             // [b, classes]
  Value sample_loss;               // [b], unweighted
};
EvaluationGraph build_evaluation_graph(const Task& task);
/// The same of whole images instead of crops, the whole net a convolution: the logits are the
/// means of its maps of logits (Simonyan & Zisserman 2015, section 3.2).
EvaluationGraph build_dense_evaluation_graph(const Task& task);

/// From images as stored to logits: every op as the model's file wrote it, none fused, nothing of a lower precision; what
/// leaves for other programs is made from it.
struct InferenceGraph {
  Graph graph;
  Value images;                    // [b, s.., c] as stored
  Value prepared;                  // the same cropped and normalised
  Value logits;                    // [b, classes]
};
InferenceGraph build_inference_graph(const Task& task);

/// The forward graph alone, one sample: for summaries. `input` receives the model's input.
Graph build_forward_graph(const ModelEntry& model, const ModelOptions& options, const Shape& image,
                          std::int64_t classes, Value& input);

}  // namespace convoy
