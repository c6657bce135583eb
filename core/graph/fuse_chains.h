#pragma once
// The part of the fuse pass that turns runs of element-wise ops into chains, and what it shares with the rest of the pass.
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

/// Every connected run of two or more activations, sums, products, casts and their backward forms on values of one shape
/// becomes one elementwise_chain in the place of its last op. What others read, or `keep` lists, becomes an output; where one
/// of them reads it before the run ends, or the run would exceed the bounds of core/ops/chain.h, the run is cut.
void fuse_chains(Graph& graph, const std::vector<Value>& keep);

/// Drops the marked ops and renumbers the producers; what no op makes any longer has none.
void erase_ops(Graph& graph, const std::vector<bool>& dead);

}  // namespace convoy
