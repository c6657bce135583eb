#pragma once
// What a sample shows of a picture: a rectangle that is then brought to the sample's extents.
#include <cstdint>

namespace convoy {

/// A rectangle of a picture, in its pixels; edges may lie between pixels. Pixel i covers [i, i + 1).
struct PictureView {
  double top = 0, left = 0, height = 0, width = 0;
};

/// A rectangle of whole pixels.
struct PixelBox {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
  bool operator==(const PixelBox&) const = default;
};

/// The view of evaluation: what is left of the picture when its shorter side is brought to `resize_short` pixels and
/// `size` (height, width) are then cut from its centre. 0: the largest rectangle of that form around the centre.
/// `resize_short` is at least as large as either of `size`.
PictureView centre_view(std::int64_t height, std::int64_t width, const std::int64_t size[2], std::int64_t resize_short);

}  // namespace convoy
