#include "launch/data_options.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy {
namespace {

/// One number for all axes or one per axis; `fallback` where the list is empty.
void fill_axes(const Config& config, std::string_view option, int axes, std::int64_t* values,
               std::int64_t fallback) {
  const auto numbers = config.get<std::vector<std::int64_t>>(option);
  if (!numbers.empty() && numbers.size() != 1 && static_cast<int>(numbers.size()) != axes)
    throw UsageError(fmt::format("{} has {} numbers; the images have {} spatial axes, so give one or {}",
                                 option, numbers.size(), axes, axes));
  for (int axis = 0; axis < axes; ++axis)
    values[axis] =
        numbers.empty() ? fallback : numbers[numbers.size() == 1 ? 0 : static_cast<std::size_t>(axis)];
}

}  // namespace

Split split_of(const std::string& name) {
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    if (name == name_of(split)) return split;
  }
  throw UsageError(fmt::format("data.split = '{}': expected train, validation or test", name));
}

AugmentOptions augment_options(const Config& config, const DatasetInfo& info, std::uint64_t seed) {
  AugmentOptions augment;
  const int axes = info.sample.rank() - 1;
  fill_axes(config, "data.crop", axes, augment.crop, 0);
  fill_axes(config, "data.pad", axes, augment.pad, 0);
  augment.flip = config.get<bool>("data.flip");
  augment.seed = seed;
  for (int axis = 0; axis < axes; ++axis)
    if (augment.crop[axis] > info.sample[axis] + 2 * augment.pad[axis])
      throw UsageError(
          fmt::format("data.crop: {} pixels do not fit into the {} of the images with a border of {}",
                      augment.crop[axis], info.sample[axis], augment.pad[axis]));
  return augment;
}

}  // namespace convoy
