#pragma once
// What single options cannot say: whether the config of a run holds together. Checked before anything starts.
#include <map>
#include <string>

#include "launch/config.h"

namespace convoy {

/// Throws UsageError for all contradictions: a batch that micro-batches do not divide (with the nearest
/// legal values), a schedule without its milestones, data.images without data.labels, ...
void check_run(const Config& config);

/// The options that models declare themselves, where given: by name without "model.", as complete_options
/// (core/models/registry.h) takes them.
std::map<std::string, std::string> model_options_of(const Config& config);

}  // namespace convoy
