#pragma once
// Whether --mode and what belongs to it hold together, and with the number of ranks.
#include "launch/config.h"

namespace convoy {

/// Throws UsageError for options of another mode, and for what the mode cannot do.
void check_mode(const Config& config);

/// Every rank has something to do; UsageError with the nearest legal values.
void check_ranks(const Config& config, int ranks);

}  // namespace convoy
