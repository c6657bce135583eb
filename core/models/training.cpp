#include "core/models/training.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/graph/layer_names.h"
#include "core/graph/place_towers.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

/// `prepare` with the open extents filled in; checks that the image has the axes of a picture or volume.
PrepareAttributes resolve(const Task& task) {
  const int axes = task.image.rank() - 1;
  if (axes < 1 || axes > 3)
    throw UsageError("an image has 1 to 3 spatial axes and channels, but its shape is " + task.image.str());
  PrepareAttributes prepare = task.prepare;
  prepare.axes = axes;
  prepare.output = task.real;
  const auto channels = static_cast<std::size_t>(task.image[-1]);
  if (prepare.mean.empty()) prepare.mean.assign(channels, 0.0);
  if (prepare.deviation.empty()) prepare.deviation.assign(channels, 1.0);
  for (int axis = 0; axis < axes; ++axis) {
    auto& size = prepare.size[static_cast<std::size_t>(axis)];
    if (size == 0) size = task.image[axis];
  }
  return prepare;
}

Shape batched(std::int64_t rows, const Shape& sample) {
  std::vector<std::int64_t> extents{rows};
  extents.insert(extents.end(), sample.extents().begin(), sample.extents().end());
  return Shape(extents);
}

/// Weights of the layers that a pattern means begin as it says; biases and norms as their layers have it.
void initialize_as_told(Graph& graph, const Task& task) {
  for (Value parameter : graph.with_role(Role::parameter)) {
    ValueInfo& info = graph.info(parameter);
    for (const auto& [pattern, initializer] : task.initializers)
      if (info.parameter.decay && matches_layer(pattern, layer_of(info.name))) info.parameter.initializer = initializer;
  }
}

struct Forward {
  TaskInputs inputs;
  Value prepared, logits;
};

Forward forward(Graph& graph, const Task& task) {
  const std::int64_t rows = task.micro_batch;
  Forward result;
  result.inputs.images = graph.add_input("images", batched(rows, task.image), task.stored);
  result.inputs.transforms = graph.add_input("transforms", {rows, 4}, DType::i32);
  result.inputs.labels = graph.add_input("labels", {rows}, DType::i32);
  result.inputs.weights = graph.add_input("weights", {rows}, graph.real());
  result.prepared = graph.add(OpKind::prepare, resolve(task), {result.inputs.images, result.inputs.transforms});
  const ModelEntry& model = find_model(task.model);
  result.logits = model.build(graph, result.prepared, task.classes, complete_options(model, task.options));
  initialize_as_told(graph, task);
  result.inputs.keys = graph.find("keys");
  if (graph.fully_convolutional && graph.shape(result.logits).rank() > 2)
    result.logits = flatten(graph, global_pool(graph, result.logits));
  const Shape& logits = graph.shape(result.logits);
  if (logits.rank() != 2 || logits[1] != task.classes)
    throw UsageError(fmt::format("model {} gives {} where one number for each of {} classes was expected", task.model,
                                 logits.str(), task.classes));
  return result;
}

struct Scores {
  Value loss, weight, top1, top5;
};

/// `losses` receives what is to be differentiated: the loss, and those of auxiliary heads.
Scores add_scores(Graph& graph, const Task& task, Value logits, Value labels, Value weights, std::vector<Value>& losses) {
  const std::int64_t five = std::min<std::int64_t>(5, task.classes);
  const auto loss_of = [&](Value of, double weight) {
    losses.push_back(graph.add_op(OpKind::softmax_cross_entropy, LossAttributes{weight, task.label_smoothing}, {of, labels, weights})[0]);
    return losses.back();
  };
  const Value loss = loss_of(logits, 1);
  for (const AuxiliaryLogits& head : graph.auxiliary) loss_of(head.logits, head.weight);
  return {loss,
          graph.add(OpKind::sum_weights, {}, {weights}),
          graph.add(OpKind::top_k, TopKAttributes{1}, {logits, labels, weights}),
          graph.add(OpKind::top_k, TopKAttributes{five}, {logits, labels, weights})};
}

std::vector<Value> rounded_leaves(const TrainingGraph& training, SumRounding gradient_sums) {
  std::vector<Value> rounded;
  if (gradient_sums != SumRounding::none)
    for (const ParameterGradient& entry : training.gradients) rounded.push_back(entry.gradient);
  return rounded;
}

}  // namespace

TrainingGraph build_training_graph(const Task& task, std::size_t bucket_bytes, SumRounding gradient_sums) {
  TrainingGraph training{Graph(task.real), {}, {}, {}, {}, {}, {}, {}, {}, {}};
  Graph& graph = training.graph;
  graph.training = true;
  graph.dropout_seed = task.dropout_seed;
  graph.normalised_micro_batches = task.normalised_micro_batches;
  graph.frozen = task.frozen;
  const Forward made = forward(graph, task);
  training.inputs = made.inputs;
  std::vector<Value> losses;
  Scores scores = add_scores(graph, task, made.logits, made.inputs.labels, made.inputs.weights, losses);
  if (task.mixes) {
    // Zhang et al. 2018, "mixup: beyond empirical risk minimization", section 2: lambda l(y) + (1 - lambda) l(y of the partner);
    // lambda is the weight of the first label.
    training.inputs.partner_labels = graph.add_input("partner_labels", {task.micro_batch}, DType::i32);
    training.inputs.partner_weights = graph.add_input("partner_weights", {task.micro_batch}, graph.real());
    const Scores partner =
        add_scores(graph, task, made.logits, training.inputs.partner_labels, training.inputs.partner_weights, losses);
    const auto sum = [&](Value a, Value b) { return graph.add(OpKind::add, {}, {a, b}); };
    scores = {sum(scores.loss, partner.loss), sum(scores.weight, partner.weight), sum(scores.top1, partner.top1),
              sum(scores.top5, partner.top5)};
  }
  training.loss = scores.loss;
  training.weight = scores.weight;
  training.top1 = scores.top1;
  training.top5 = scores.top5;
  training.gradients = differentiate(graph, losses);
  if (training.gradients.empty())
    throw UsageError(fmt::format("all layers of {} are frozen, so that nothing is left to train; freeze fewer", task.model));
  for (const ParameterGradient& entry : training.gradients) training.leaves.push_back(entry.gradient);
  for (const RunningStatistic& statistic : graph.running_statistics()) training.leaves.push_back(statistic.sample);
  for (Value metric : {training.loss, training.weight, training.top1, training.top5})
    training.leaves.push_back(metric);
  remove_unused(graph, training.leaves);
  if (task.compute != DType::f32) lower_precision(graph, task.compute, training.leaves);
  training.inputs.loss_scale = graph.find("loss_scale");
  training.buckets = place_communication(graph, training.leaves, bucket_bytes, rounded_leaves(training, gradient_sums));
  fuse(graph, training.leaves);
  training.hash = graph_hash(graph);
  recompute(graph, task.recompute, training.leaves);
  return training;
}

TowerGraph part_of_tower(const TrainingGraph& whole, int tower, std::size_t bucket_bytes, SumRounding gradient_sums) {
  TowerPart part = place_tower(whole.graph, whole.leaves, tower);
  TowerGraph made{whole, std::move(part.made_at)};
  TrainingGraph& training = made.training;
  training.graph = std::move(part.graph);
  training.leaves = std::move(part.leaves);
  std::erase_if(training.gradients, [&](const ParameterGradient& entry) {
    return std::find(training.leaves.begin(), training.leaves.end(), entry.gradient) == training.leaves.end();
  });
  training.buckets = place_communication(training.graph, training.leaves, bucket_bytes, rounded_leaves(training, gradient_sums));
  return made;
}

namespace {

/// Into an empty graph.
EvaluationGraph with_probabilities(Graph started, const Task& task) {
  EvaluationGraph evaluation{std::move(started), {}, {}, {}, {}};
  Graph& graph = evaluation.graph;
  graph.training = false;
  const Forward made = forward(graph, task);
  evaluation.inputs = made.inputs;
  const std::vector<Value> outputs = graph.add_op(OpKind::softmax_cross_entropy, LossAttributes{},
                                                  {made.logits, made.inputs.labels, made.inputs.weights});
  evaluation.probabilities = outputs[1];
  evaluation.sample_loss = outputs[2];
  if (task.compute != DType::f32) lower_precision(graph, task.compute, {});
  for (const Op& op : graph.ops())
    if (op.kind == OpKind::softmax_cross_entropy) evaluation.logits = op.inputs[0];
  fuse(graph, {evaluation.logits, evaluation.probabilities, evaluation.sample_loss});
  return evaluation;
}

}  // namespace

EvaluationGraph build_evaluation_graph(const Task& task) { return with_probabilities(Graph(task.real), task); }

EvaluationGraph build_dense_evaluation_graph(const Task& task) {
  Graph graph(task.real);
  graph.dense_inputs = build_evaluation_graph(task).graph.dense_inputs;
  graph.fully_convolutional = true;
  Task whole = task;
  whole.prepare.size = {};
  return with_probabilities(std::move(graph), whole);
}

InferenceGraph build_inference_graph(const Task& task) {
  InferenceGraph inference{Graph(task.real), {}, {}, {}};
  inference.graph.training = false;
  const Forward made = forward(inference.graph, task);
  inference.images = made.inputs.images;
  inference.prepared = made.prepared;
  inference.logits = made.logits;
  return inference;
}

Graph build_forward_graph(const ModelEntry& model, const ModelOptions& options, const Shape& image,
                          std::int64_t classes, Value& input) {
  Graph graph;
  graph.training = true;
  input = graph.add_input("image", batched(1, image), DType::f32);
  model.build(graph, input, classes, options);
  return graph;
}

}  // namespace convoy
