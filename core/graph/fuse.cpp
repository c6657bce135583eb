// Fewer passes over memory: conv, dense and batch norm take over the ReLU that alone reads them. The backward ops
// read the ReLU's output (y > 0), whose value id stays, so they need no change.
#include <set>

#include "core/graph/passes.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

/// How many ops read each value.
std::vector<int> readers_of(const Graph& graph) {
  std::vector<int> readers(graph.values().size(), 0);
  for (const Op& op : graph.ops())
    for (Value input : op.inputs) ++readers[static_cast<std::size_t>(input.id)];
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

/// Drops the marked ops and renumbers the producers.
void erase_ops(Graph& graph, const std::vector<bool>& dead) {
  std::vector<Op> kept;
  for (std::size_t index = 0; index < graph.ops().size(); ++index) {
    if (dead[index]) continue;
    for (Value output : graph.ops()[index].outputs) graph.info(output).producer = static_cast<int>(kept.size());
    kept.push_back(std::move(graph.ops()[index]));
  }
  graph.ops() = std::move(kept);
}

}  // namespace

void fuse(Graph& graph) {
  const std::vector<int> readers = readers_of(graph);
  std::vector<bool> dead(graph.ops().size(), false);
  for (std::size_t index = 0; index < graph.ops().size(); ++index) {
    Op& op = graph.ops()[index];
    if (op.kind != OpKind::activation || op.as<ActivationAttributes>().kind != ActivationKind::relu) continue;
    const Value source = op.inputs.front();
    const int producer = graph.info(source).producer;
    if (producer < 0 || readers[static_cast<std::size_t>(source.id)] != 1) continue;
    Op& before = graph.ops()[static_cast<std::size_t>(producer)];
    ActivationKind* slot = fused_activation(before);
    if (!slot || *slot != ActivationKind::none || before.outputs.front() != source) continue;
    *slot = ActivationKind::relu;
    before.outputs.front() = op.outputs.front();
    dead[index] = true;
  }
  erase_ops(graph, dead);
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
