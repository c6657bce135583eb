#pragma once
// What the options of optimizer, averages and fine-tuning say together.
#include "launch/config.h"

namespace convoy {

/// Throws UsageError for options that the optimizer of optim.name has no use for, and for those that exclude each other.
void check_optimizer(const Config& config);

/// The same for init-from, init-from-layers, freeze and optim.rate-factor, as far as it shows without the model.
void check_fine_tuning(const Config& config);

}  // namespace convoy
