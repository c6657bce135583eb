#include "io/picture_bytes.h"

#include <cstring>

#include "io/jpeg.h"
#include "io/png.h"

namespace convoy {
namespace {

std::uint32_t to_byte(std::uint8_t value) { return value; }
std::uint32_t to_byte(std::uint16_t value) { return (std::uint32_t{value} * 255 + 32767) / 65535; }

/// BT.601 as JPEG's own, in 16 bits of fraction.
std::uint8_t luminance(const std::uint32_t* rgb) {
  return static_cast<std::uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
}

template <typename T>
void convert(const T* pixel, std::int64_t pixels, int from, std::uint8_t* out, int to) {
  const bool is_color = from >= 3, has_alpha = from % 2 == 0;
  for (std::int64_t i = 0; i < pixels; ++i, pixel += from, out += to) {
    std::uint32_t rgb[3];
    for (int c = 0; c < 3; ++c) rgb[c] = to_byte(pixel[is_color ? c : 0]);
    if (has_alpha) {
      const std::uint32_t alpha = to_byte(pixel[from - 1]);
      for (std::uint32_t& value : rgb) value = (value * alpha + 255 * (255 - alpha) + 127) / 255;
    }
    if (to == 1)
      out[0] = is_color ? luminance(rgb) : static_cast<std::uint8_t>(rgb[0]);
    else
      for (int c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>(rgb[c]);
  }
}

}  // namespace

Tensor decode_picture(std::span<const std::byte> file, const std::string& name, int channels) {
  return is_jpeg(file) ? decode_jpeg(file, name, channels) : as_bytes(decode_png(file, name), channels);
}

Tensor as_bytes(const Tensor& picture, int channels) {
  const Shape& shape = picture.shape();
  if (picture.dtype() == DType::u8 && shape[2] == channels) return picture;
  Tensor bytes(shape.with(2, channels), DType::u8);
  auto* out = reinterpret_cast<std::uint8_t*>(bytes.bytes());
  const std::int64_t pixels = shape[0] * shape[1];
  const int from = static_cast<int>(shape[2]);
  if (picture.dtype() == DType::u8)
    convert(reinterpret_cast<const std::uint8_t*>(picture.bytes()), pixels, from, out, channels);
  else
    convert(reinterpret_cast<const std::uint16_t*>(picture.bytes()), pixels, from, out, channels);
  return bytes;
}

Tensor upright(const Tensor& picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const std::int64_t height = picture.shape()[0], width = picture.shape()[1];
  const bool swaps = orientation >= 5;  // rows of the file are columns of the picture
  Tensor turned(Shape{swaps ? width : height, swaps ? height : width, picture.shape()[2]}, DType::u8);
  const auto pixel_bytes = static_cast<std::size_t>(picture.shape()[2]);
  // Which of the file's axes run backwards: 2 and 3 and 7 and 8 the columns or rows as the standard's table has it.
  const bool rows_back = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool columns_back = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  for (std::int64_t y = 0; y < turned.shape()[0]; ++y)
    for (std::int64_t x = 0; x < turned.shape()[1]; ++x) {
      // (y, x) of the upright picture, with its axes turned back where they run backwards, then swapped.
      const std::int64_t v = rows_back ? turned.shape()[0] - 1 - y : y;
      const std::int64_t u = columns_back ? turned.shape()[1] - 1 - x : x;
      const std::int64_t from_y = swaps ? u : v, from_x = swaps ? v : u;
      std::memcpy(turned.bytes() + static_cast<std::size_t>(y * turned.shape()[1] + x) * pixel_bytes,
                  picture.bytes() + static_cast<std::size_t>(from_y * width + from_x) * pixel_bytes, pixel_bytes);
    }
  return turned;
}

}  // namespace convoy
