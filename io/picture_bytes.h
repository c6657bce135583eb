#pragma once
// Pictures of any kind as uint8 of 1 or 3 channels, and turned upright.
#include <cstddef>
#include <span>
#include <string>

#include "core/tensor/tensor.h"

namespace convoy {

/// A JPEG or PNG file, told by its content, as [h, w, channels] uint8 (as_bytes), channels 1 or 3. Throws DataError naming
/// `name` for what is neither, damaged or too large.
Tensor decode_picture(std::span<const std::byte> file, const std::string& name, int channels);

/// [h, w, c] uint8 or uint16, c = 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA -> [h, w, channels] uint8, channels 1 or 3. 16 bits
/// become 8 by v 255 / 65535, rounded; what is transparent lies on white; gray becomes RGB by repetition, RGB gray by ITU-R
/// BT.601's luminance. A picture that has that form already is returned as it is.
Tensor as_bytes(const Tensor& picture, int channels);

/// Undoes EXIF's orientation (1 to 8; CIPA DC-008, section 4.6.4) of [h, w, c] uint8: the picture as it is meant to be seen.
Tensor upright(const Tensor& picture, int orientation);

}  // namespace convoy
