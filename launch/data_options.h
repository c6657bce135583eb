#pragma once
// What the [data] options mean, for all commands that read samples.
#include <cstdint>
#include <string>

#include "io/dataset.h"
#include "io/loader.h"
#include "launch/config.h"

namespace convoy {

/// "train", "validation" or "test"; throws UsageError for any other name.
Split split_of(const std::string& name);

/// data.crop, data.pad and data.flip for images like `info`'s. Throws UsageError where a crop does not fit into
/// them.
AugmentOptions augment_options(const Config& config, const DatasetInfo& info, std::uint64_t seed);

}  // namespace convoy
