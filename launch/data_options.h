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

/// What training does to images like `info`'s at random: data.crop, data.pad, data.flip, data.view and so on. Throws UsageError
/// where something does not fit them.
AugmentOptions augment_options(const Config& config, const DatasetInfo& info, std::uint64_t seed);

/// What is wrong with the options of views whatever the data are: numbers, ranges, options of a view that was not chosen.
/// Throws UsageError.
void check_view_options(const Config& config);

/// data.size and data.resize-short.
void set_view(const Config& config, DatasetOptions& options);

/// What of `augment` changes bits, for the run record.
std::string describe(const AugmentOptions& augment);

}  // namespace convoy
