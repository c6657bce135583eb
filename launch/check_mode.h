#pragma once
// Whether --mode and what belongs to it hold together, and with the number of ranks.
#include "core/graph/graph.h"
#include "launch/config.h"

namespace convoy {

/// Throws UsageError for options of another mode, and for what the mode cannot do.
void check_mode(const Config& config);

/// mode = model: the network has two towers; UsageError naming the models that do.
void check_towers(const Config& config, const Graph& training);

/// Every rank has something to do; UsageError with the nearest legal values.
void check_ranks(const Config& config, int ranks);

}  // namespace convoy
