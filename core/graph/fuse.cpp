// Fewer passes over memory. Forward: conv, dense and batch norm take over the ReLU that alone reads them, batch norm also the
// residual that is added before it. Backward: batch norm masks the gradient that arrives through its ReLU by itself, and
// hands the masked one on to whoever else reads it. What is left of element-wise ops becomes chains (fuse_chains.h).
// Whatever is read later keeps its value id.
#include <set>

#include "core/graph/fuse_chains.h"
#include "core/graph/passes.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

/// How many ops read each value; being kept counts as one more.
std::vector<int> readers_of(const Graph& graph, const std::vector<Value>& keep) {
  std::vector<int> readers(graph.values().size(), 0);
  for (const Op& op : graph.ops())
    for (Value input : op.inputs) ++readers[static_cast<std::size_t>(input.id)];
  for (Value value : keep) ++readers[static_cast<std::size_t>(value.id)];
  return readers;
}

/// The attribute in which an op keeps its fused activation; null for kinds that cannot fuse one.
ActivationKind* fused_activation(Op& op) {
  switch (op.kind) {
    case OpKind::conv: return &std::get<ConvAttributes>(op.attributes).activation;
    case OpKind::dense: return &std::get<DenseAttributes>(op.attributes).activation;
    case OpKind::batch_norm:
    case OpKind::batch_norm_inference: return &std::get<BatchNormAttributes>(op.attributes).activation;
    case OpKind::batch_norm_global: return &std::get<GlobalBatchNormAttributes>(op.attributes).activation;
    default: return nullptr;
  }
}

class Fusion {
 public:
  Fusion(Graph& graph, const std::vector<Value>& keep)
      : graph_(graph), readers_(readers_of(graph, keep)), dead_(graph.ops().size(), false) {}

  void run() {
    for (std::size_t index = 0; index < graph_.ops().size(); ++index) {
      const Op& op = graph_.ops()[index];
      if (is_relu(op, OpKind::activation) && !take_residual(index)) take_relu(index);
      if (is_relu(op, OpKind::activation_backward)) take_mask(index);
    }
    erase_ops(graph_, dead_);
  }

 private:
  Graph& graph_;
  std::vector<int> readers_;  // by value id
  std::vector<bool> dead_;    // by op

  static bool is_relu(const Op& op, OpKind kind) {
    return op.kind == kind && op.as<ActivationAttributes>().kind == ActivationKind::relu;
  }

  /// The op whose first output this is, if one op alone reads it; else null.
  Op* only_for_one_reader(Value value) {
    const int producer = graph_.info(value).producer;
    if (producer < 0 || readers_[static_cast<std::size_t>(value.id)] != 1) return nullptr;
    Op& op = graph_.ops()[static_cast<std::size_t>(producer)];
    return op.outputs.front() == value ? &op : nullptr;
  }

  bool take_relu(std::size_t index) {
    Op& relu = graph_.ops()[index];
    Op* before = only_for_one_reader(relu.inputs.front());
    ActivationKind* slot = before ? fused_activation(*before) : nullptr;
    if (!slot || *slot != ActivationKind::none) return false;
    *slot = ActivationKind::relu;
    const int producer = graph_.info(relu.inputs.front()).producer;
    before->outputs.front() = relu.outputs.front();
    graph_.info(relu.outputs.front()).producer = producer;
    return dead_[index] = true;
  }

  /// relu(batch norm + other term): `other` must be there when batch norm runs, so that of two batch norms the later one
  /// takes the sum.
  Op* batch_norm_of(Value term, Value other) {
    Op* norm = only_for_one_reader(term);
    if (!norm || (norm->kind != OpKind::batch_norm && norm->kind != OpKind::batch_norm_inference)) return nullptr;
    const auto& attributes = norm->as<BatchNormAttributes>();
    const bool plain = attributes.activation == ActivationKind::none && !attributes.residual;
    const bool same = graph_.info(other).desc == graph_.info(term).desc;
    return plain && same && graph_.info(other).producer < graph_.info(term).producer ? norm : nullptr;
  }

  bool take_residual(std::size_t index) {
    Op& relu = graph_.ops()[index];
    Op* sum = only_for_one_reader(relu.inputs.front());
    if (!sum || sum->kind != OpKind::add || sum->inputs.size() != 2) return false;
    for (const auto& [term, other] : {std::pair(sum->inputs[0], sum->inputs[1]), std::pair(sum->inputs[1], sum->inputs[0])}) {
      Op* norm = batch_norm_of(term, other);
      if (!norm) continue;
      auto& attributes = std::get<BatchNormAttributes>(norm->attributes);
      attributes.activation = ActivationKind::relu;
      attributes.residual = true;
      norm->inputs.push_back(other);
      norm->outputs.front() = relu.outputs.front();
      graph_.info(relu.outputs.front()).producer = graph_.info(term).producer;
      dead_[static_cast<std::size_t>(graph_.info(relu.inputs.front()).producer)] = true;
      return dead_[index] = true;
    }
    return false;
  }

  /// The first op that reads `value` at all.
  Op* first_reader(Value value, std::size_t after) {
    for (std::size_t index = after + 1; index < graph_.ops().size(); ++index)
      for (Value input : graph_.ops()[index].inputs)
        if (input == value) return &graph_.ops()[index];
    return nullptr;
  }

  /// The masked gradient is read by batch norm's backward op first: it makes it itself, for others only if there are any.
  void take_mask(std::size_t index) {
    const Op& mask = graph_.ops()[index];
    const Value y = mask.inputs[0], dy = mask.inputs[1], masked = mask.outputs.front();
    Op* backward = first_reader(masked, index);
    if (!backward || backward->kind != OpKind::batch_norm_backward) return;
    auto& attributes = std::get<BatchNormAttributes>(backward->attributes);
    if (attributes.activation != ActivationKind::none || backward->inputs[4] != masked) return;
    attributes.activation = ActivationKind::relu;
    attributes.residual = readers_[static_cast<std::size_t>(masked.id)] > 1;
    backward->inputs[4] = dy;
    backward->inputs.push_back(y);
    if (attributes.residual) backward->outputs.push_back(masked);
    dead_[index] = true;
  }
};

}  // namespace

void fuse(Graph& graph, const std::vector<Value>& keep) {
  Fusion(graph, keep).run();
  fuse_chains(graph, keep);
}

void erase_ops(Graph& graph, const std::vector<bool>& dead) {
  std::vector<Op> kept;
  for (int id = 0; id < static_cast<int>(graph.values().size()); ++id) graph.info(Value{id}).producer = -1;
  for (std::size_t index = 0; index < graph.ops().size(); ++index) {
    if (dead[index]) continue;
    for (Value output : graph.ops()[index].outputs) graph.info(output).producer = static_cast<int>(kept.size());
    kept.push_back(std::move(graph.ops()[index]));
  }
  graph.ops() = std::move(kept);
}

void remove_unused(Graph& graph, const std::vector<Value>& keep) {
  std::set<int> read;
  for (Value value : keep) read.insert(value.id);
  std::vector<bool> dead(graph.ops().size(), false);
  for (std::size_t i = graph.ops().size(); i-- > 0;) {
    const Op& op = graph.ops()[i];
    bool used = op.outputs.empty();  // updates and externals act by side effect
    for (Value output : op.outputs) used = used || read.contains(output.id);
    if (used)
      for (Value input : op.inputs) read.insert(input.id);
    dead[i] = !used;
  }
  erase_ops(graph, dead);
}

}  // namespace convoy
