#pragma once
// Pictures made for tests: smooth colours with edges, different for every seed.
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

/// [height, width, channels] uint8.
inline Tensor test_picture(std::int64_t height, std::int64_t width, int channels = 3, int seed = 0) {
  Tensor picture(Shape{height, width, channels}, DType::u8);
  auto pixels = picture.values<std::uint8_t>();
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        const double wave = std::sin(0.11 * static_cast<double>(x + seed) + c) * std::cos(0.07 * static_cast<double>(y) + seed);
        const int edge = ((x / 16 + y / 24 + seed) % 3 == 0) ? 40 : 0;
        pixels[static_cast<std::size_t>((y * width + x) * channels + c)] =
            static_cast<std::uint8_t>(std::lround(110 + 70 * wave) + edge);
      }
  return picture;
}

inline std::string text_of_bytes(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Mean absolute difference of two pictures of the same extents.
inline double mean_difference(const Tensor& a, const Tensor& b) {
  double sum = 0;
  const auto x = a.values<std::uint8_t>(), y = b.values<std::uint8_t>();
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::abs(int{x[i]} - int{y[i]});
  return sum / static_cast<double>(x.size());
}

/// An EXIF segment with this orientation, put behind the start marker of a JPEG.
inline std::string with_orientation(const std::string& jpeg, int orientation) {
  std::string tiff("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19);
  tiff += static_cast<char>(orientation);
  tiff += std::string(6, '\0');
  const std::string body = std::string("Exif\0\0", 6) + tiff;
  const auto length = static_cast<char>(body.size() + 2);
  return jpeg.substr(0, 2) + std::string("\xff\xe1\0", 3) + length + body + jpeg.substr(2);
}

}  // namespace convoy
