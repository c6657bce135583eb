#include "core/graph/fuse_chains.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/graph/program.h"
#include "core/ops/chain.h"

namespace convoy {
namespace {

using Function = ChainStep::Function;

std::optional<Function> function_of(OpKind kind) {
  switch (kind) {
    case OpKind::activation: return Function::activation;
    case OpKind::activation_backward: return Function::activation_backward;
    case OpKind::add: return Function::add;
    case OpKind::multiply: return Function::multiply;
    case OpKind::add_channels: return Function::add_channels;
    case OpKind::multiply_channels: return Function::multiply_channels;
    case OpKind::cast: return Function::cast;
    default: return std::nullopt;
  }
}

/// A chain in the making. Registers of steps are counted from -1 downwards until the number of inputs is known.
class ChainBuilder {
 public:
  explicit ChainBuilder(const Graph& graph) : graph_(graph) {}

  void append(const Op& op) {
    const Function function = *function_of(op.kind);
    const DType type = graph_.info(op.outputs.front()).desc.dtype;
    ChainStep step{.function = function, .a = register_of(op.inputs[0], false), .type = type};
    if (const auto* activation = std::get_if<ActivationAttributes>(&op.attributes)) step.activation = *activation;
    for (std::size_t i = 1; i < op.inputs.size(); ++i) {
      step.b = register_of(op.inputs[i], takes_channels(function));
      const bool last = i + 1 == op.inputs.size();
      step.type = last ? type : wide_beside(type);  // a sum of many terms is rounded once
      if (!last) step.a = push(step);
    }
    registers_[{op.outputs.front().id, false}] = push(step);
  }

  void give(Value value) {
    chain_.outputs.push_back(-1 - registers_.at({value.id, false}));
    outputs_.push_back(value);
  }

  bool within_bounds() const {
    return inputs_.size() <= kMostChainInputs && chain_.steps.size() <= kMostChainSteps &&
           outputs_.size() <= kMostChainOutputs;
  }

  Op finish(std::string layer) {
    for (ChainStep& step : chain_.steps) {
      step.a = settled(step.a);
      step.b = takes_two(step.function) ? settled(step.b) : 0;
    }
    return {OpKind::elementwise_chain, std::move(chain_), std::move(inputs_), std::move(outputs_), std::move(layer)};
  }

 private:
  const Graph& graph_;
  ChainAttributes chain_;
  std::vector<Value> inputs_, outputs_;
  std::map<std::pair<int, bool>, int> registers_;  // of (value id, whether it is read per channel)

  int settled(int number) const { return number >= 0 ? number : static_cast<int>(inputs_.size()) - 1 - number; }

  int push(const ChainStep& step) {
    chain_.steps.push_back(step);
    return -static_cast<int>(chain_.steps.size());
  }

  int register_of(Value value, bool per_channel) {
    const auto [entry, is_new] = registers_.try_emplace({value.id, per_channel}, static_cast<int>(inputs_.size()));
    if (is_new) inputs_.push_back(value);
    return entry->second;
  }
};

class ChainFusion {
 public:
  ChainFusion(Graph& graph, const std::vector<Value>& keep)
      : graph_(graph), end_(static_cast<int>(graph.ops().size())), readers_(graph.values().size()), dead_(graph.ops().size(), false),
        taken_(graph.ops().size(), false) {
    for (int index = 0; index < end_; ++index)
      for (Value input : op(index).inputs) readers_[static_cast<std::size_t>(input.id)].push_back(index);
    for (Value value : keep) readers_[static_cast<std::size_t>(value.id)].push_back(end_);
  }

  void run() {
    for (int last = end_ - 1; last >= 0; --last)
      if (is_elementwise(last)) take_run(last);
    erase_ops(graph_, dead_);
  }

 private:
  using Members = std::set<int>;  // indices of ops

  Graph& graph_;
  int end_;
  std::vector<std::vector<int>> readers_;  // by value id, in the order of ops; end_: read after the program
  std::vector<bool> dead_, taken_;         // by op

  Op& op(int index) { return graph_.ops()[static_cast<std::size_t>(index)]; }
  const std::vector<int>& readers(Value value) const { return readers_[static_cast<std::size_t>(value.id)]; }
  Value result(int index) { return op(index).outputs.front(); }

  bool is_elementwise(int index) {
    return !taken_[static_cast<std::size_t>(index)] && function_of(op(index).kind) && graph_.shape(result(index)).rank() > 0;
  }

  /// The ops that make what the op reads element by element.
  std::vector<int> makers(int index) {
    std::vector<int> found;
    const bool channels = takes_channels(*function_of(op(index).kind));
    for (std::size_t i = 0; i < op(index).inputs.size(); ++i)
      if (const int maker = graph_.info(op(index).inputs[i]).producer; maker >= 0 && !(channels && i == 1)) found.push_back(maker);
    return found;
  }

  /// As a chain; none if it is too long.
  std::optional<Op> chain_of(const Members& members) {
    ChainBuilder builder(graph_);
    for (const int index : members) builder.append(op(index));
    for (const int index : members) {
      const std::vector<int>& all = readers(result(index));
      if (all.empty() || std::any_of(all.begin(), all.end(), [&](int reader) { return !members.contains(reader); }))
        builder.give(result(index));
    }
    if (!builder.within_bounds()) return std::nullopt;
    return builder.finish(op(*members.rbegin()).layer);
  }

  /// Nobody outside the run reads the op's result before the run's last op, where the chain will stand.
  bool can_wait(int index, const Members& members) {
    const std::vector<int>& all = readers(result(index));
    return std::all_of(all.begin(), all.end(),
                       [&](int reader) { return members.contains(reader) || reader > *members.rbegin(); });
  }

  /// An op that moves behind a kernel makes its operands live longer and its result shorter. More than one such operand would
  /// cost memory.
  bool costs_memory(int index, const Members& members) {
    const int last = *members.rbegin();
    bool moves = false;
    for (int between = index + 1; between < last; ++between)
      moves = moves || (!members.contains(between) && needs_kernel(op(between).kind));
    if (!moves) return false;
    std::set<int> longer;
    for (Value input : op(index).inputs) {
      const Role role = graph_.info(input).role;
      if ((role == Role::activation || role == Role::gradient) && readers(input).back() < last) longer.insert(input.id);
    }
    return longer.size() > 1;
  }

  void take_run(int last) {
    Members members{last};
    std::optional<Op> chain = chain_of(members);
    if (!chain) return;
    const std::vector<int> first = makers(last);
    std::set<int, std::greater<>> candidates(first.begin(), first.end());
    while (!candidates.empty()) {
      const int index = *candidates.begin();
      candidates.erase(candidates.begin());
      if (!is_elementwise(index) || graph_.shape(result(index)) != graph_.shape(result(last)) || !can_wait(index, members) ||
          costs_memory(index, members))
        continue;
      Members larger = members;
      larger.insert(index);
      std::optional<Op> longer = chain_of(larger);
      if (!longer) continue;
      members = std::move(larger);
      chain = std::move(longer);
      for (const int maker : makers(index)) candidates.insert(maker);
    }
    if (members.size() < 2) return;
    for (const int index : members) taken_[static_cast<std::size_t>(index)] = dead_[static_cast<std::size_t>(index)] = true;
    dead_[static_cast<std::size_t>(last)] = false;
    op(last) = std::move(*chain);
  }
};

}  // namespace

void fuse_chains(Graph& graph, const std::vector<Value>& keep) { ChainFusion(graph, keep).run(); }

}  // namespace convoy
