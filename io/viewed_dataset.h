#pragma once
// Views of pictures as samples of one size. Private to io.
#include <memory>

#include "io/dataset.h"

namespace convoy {

/// Samples of `options.size`, from encoded pictures or from stored images of uint8 with two spatial axes. Throws UsageError:
/// a size that is none, a resize_short below it, images of another type.
std::unique_ptr<Dataset> make_viewed_dataset(std::unique_ptr<Dataset> stored, const DatasetOptions& options);

}  // namespace convoy
