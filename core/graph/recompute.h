#pragma once
// The parts of recompute (passes.h): what the forward part offers, which of its values to make again, and the copies.
#include <cstddef>
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

/// The ops of a training graph before the first that makes a gradient. Values of role activation that they make are results.
class ForwardPart {
 public:
  explicit ForwardPart(const Graph& graph);

  const Graph& graph() const { return graph_; }
  int end() const { return end_; }  // ops [0, end)
  const Op& op(int index) const { return graph_.ops()[static_cast<std::size_t>(index)]; }
  bool is_result(Value value) const;
  std::size_t bytes(Value value) const;
  /// What a copy of an op reads: the op's operands; but a concatenation reads the parts of the concatenations that it would
  /// read, so that none of these has to be made for the next (Pleiss et al. 2017, "Memory-efficient implementation of
  /// DenseNets", figure 3: each layer's own maps stay, what they are joined to does not).
  const std::vector<Value>& operands(int index) const { return operands_[static_cast<std::size_t>(index)]; }
  /// The value in whose memory `value` lies: itself, or what it is a view of.
  Value root(Value value) const;
  /// Roots of the results that a copy of the op reads, each once.
  const std::vector<Value>& sources(int index) const { return sources_[static_cast<std::size_t>(index)]; }
  /// Whether the backward part reads the root or a view of it.
  bool is_needed(Value root) const { return needed_[static_cast<std::size_t>(root.id)]; }
  /// Results of the op that copies may stand for; none where the op must not be done twice, or is a view.
  std::vector<Value> replaceable(int index) const;

 private:
  const Graph& graph_;
  int end_ = 0;
  std::vector<std::vector<Value>> operands_, sources_;  // by op
  std::vector<bool> needed_;                            // by value id

  std::vector<Value> roots_of(const std::vector<Value>& operands) const;
};

/// By value id, of roots: whether the backward part reads a copy.
using MadeAgain = std::vector<bool>;

/// Recompute::cheap: what ops without multiply-adds make from less than it holds, of what is kept anyway. At most two such ops
/// follow each other, so that a copy never needs a long row of others.
MadeAgain cheap_to_make_again(const ForwardPart& forward);

/// Recompute::blocks (Chen et al. 2016, algorithm 3): cuts the forward part into segments whose needed values hold at most about
/// `segment_bytes`, where the fewest bytes cross that are not kept yet; what crosses is kept, and the whole last segment.
MadeAgain made_again_in_segments(const ForwardPart& forward, std::size_t segment_bytes);

/// The graph in which the backward part reads copies, each right before its first reader.
Graph with_copies(const ForwardPart& forward, const MadeAgain& again, const std::vector<Value>& leaves);

/// The most bytes of activations and gradients that live at the same time; `outside`: values that do not count (plan_memory).
std::size_t most_live_bytes(const Graph& graph, const std::vector<Value>& outside);

}  // namespace convoy
