#pragma once
// What single options cannot say: whether the config of a run holds together. Checked before anything starts.
#include "launch/config.h"

namespace convoy {

/// Throws UsageError for the first contradiction: a batch that micro-batches do not divide (with the nearest
/// legal values), a schedule without its milestones, data.images without data.labels, ...
void check_run(const Config& config);

/// R <= V.
void check_ranks(const Config& config, int ranks);

}  // namespace convoy
