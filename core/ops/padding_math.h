#pragma once
// Which pixel a padded axis shows, for hosts and devices alike.
#include "core/ops/attributes.h"
#include "core/tensor/host_device.h"

namespace convoy {

/// The pixel at `index` (negative or beyond the extent: in the padding); -1 where a zero stands. Int is signed.
template <typename Int>
CONVOY_HOST_DEVICE Int padded_source(Int index, Int extent, PadMode mode) {
  if (index >= 0 && index < extent) return index;
  const bool low = index < 0;
  switch (mode) {
    case PadMode::zero:
      return -1;
    case PadMode::reflect:
      return low ? -index : 2 * (extent - 1) - index;
    case PadMode::symmetric:
      return low ? -index - 1 : 2 * extent - 1 - index;
    case PadMode::replicate:
      return low ? 0 : extent - 1;
  }
  return -1;
}

}  // namespace convoy
