#pragma once
// The network that bench step and bench ops measure.
#include "core/models/training.h"
#include "launch/config.h"

namespace convoy {

/// From --model, --model.*, --input: random images of one byte a channel. The micro-batch is the caller's to set.
Task bench_task(const Config& config);
/// Throws UsageError where --model is missing or unknown, or has no such option.
void check_bench_model(const Config& config);

}  // namespace convoy
