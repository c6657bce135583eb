#pragma once
// Model parallelism: the ops of a network's towers run where their tower is (Krizhevsky et al. 2012, figure 2: one tower a
// GPU). Only where ops run changes: what two places compute and exchange is, bit for bit, what one place computes.
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

/// Layers of tower t = 0, 1, .. stand in a scope "tower<t>". 0: the network has none.
int count_towers(const Graph& graph);

/// The external ops of exchanges: ExternalAttributes{kTowerExchange, e}, e = 0, 1, .. in the order of the program. Its inputs
/// are sent to the other tower's exchange e and its outputs received from there, value by value in the same order; value ids
/// are those of both programs.
inline constexpr const char* kTowerExchange = "exchange_towers";

struct TowerPart {
  Graph graph;                     // value ids stay; ones are added
  std::vector<Value> leaves;       // those of the caller's that are made here
  std::vector<int> made_at;        // by value id: its place among the ops of all towers; -1: no op makes it
  int exchanges = 0;
};

/// What tower `tower` of two runs of a training graph: its own layers, forward and backward; what no tower owns (data, the
/// concatenations that both read, the loss) as far as it or a leaf needs it, so that it may run in both places; and exchanges
/// of what the other one makes, in the same order on both. A sum of gradients of both towers is taken apart before it is cut
/// into the towers' channels, so that only those cross. External ops of the caller's (bucket_ready) are left out. To be called
/// after all passes but place_communication. Throws UsageError where there are not two towers.
TowerPart place_tower(const Graph& graph, const std::vector<Value>& leaves, int tower);

}  // namespace convoy
