// Picture::blit: images of all kinds as pixels.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/tensor/error.h"
#include "io/picture.h"

namespace convoy {
namespace {

// An image as [h, w, c]; a volume's middle slice.
Tensor flat(const Tensor& image) {
  const Shape& shape = image.shape();
  if (!image.valid() || shape.elements() == 0) throw UsageError("an image without pixels cannot be drawn");
  Tensor plane;
  if (shape.rank() == 2) plane = image.reshaped({shape[0], shape[1], 1});
  if (shape.rank() == 3) plane = image;
  if (shape.rank() == 4)
    plane = image.slice(shape[0] / 2, shape[0] / 2 + 1).reshaped({shape[1], shape[2], shape[3]});
  if (!plane.valid() || plane.shape()[2] > 4)
    throw UsageError(
        fmt::format("an image of shape {} cannot be drawn; expected [h, w], [h, w, c] or [d, h, w, c] "
                    "with 1 to 4 channels",
                    shape.str()));
  return plane;
}

// Samples to 0..255: (x - low) / (high - low).
struct Range {
  double low = 0, high = 255;
  std::uint8_t operator()(double x) const {
    if (std::isnan(x)) return 0;
    return static_cast<std::uint8_t>(std::lround(std::clamp((x - low) / (high - low), 0.0, 1.0) * 255));
  }
};

template <typename T>
Range range_of(std::span<const T> samples) {
  if constexpr (std::is_same_v<T, std::uint8_t>) return {};
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const T sample : samples) {
    const auto x = static_cast<double>(sample);
    if (!std::isfinite(x)) continue;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  if constexpr (std::is_same_v<T, std::uint16_t>) return {0, high < 4096 ? std::max(high, 1.0) : 65535.0};
  if (low >= 0 && high <= 1) return {0, 1};
  return low < high ? Range{low, high} : Range{low - 1, low + 1};  // a flat image is mid-gray
}

Color color_of(const std::array<std::uint8_t, 4>& samples, std::int64_t channels) {
  const bool gray = channels <= 2;
  const Color color =
      gray ? Color{samples[0], samples[0], samples[0]} : Color{samples[0], samples[1], samples[2]};
  if (channels == 2) return mix(kWhite, color, samples[1] / 255.0);
  if (channels == 4) return mix(kWhite, color, samples[3] / 255.0);
  return color;
}

template <typename T>
void draw(Picture& picture, const Tensor& plane, Box box) {
  const auto samples = plane.values<T>();
  const std::int64_t h = plane.shape()[0], w = plane.shape()[1], c = plane.shape()[2];
  const Range range = range_of<T>(samples);
  for (int y = std::max(0, -box.y); y < box.height && box.y + y < picture.height(); ++y)
    for (int x = std::max(0, -box.x); x < box.width && box.x + x < picture.width(); ++x) {
      // The centre of the target pixel, in the image's own pixels.
      const std::int64_t v = (2 * y + 1) * h / (2 * box.height), u = (2 * x + 1) * w / (2 * box.width);
      std::array<std::uint8_t, 4> pixel{};
      for (std::int64_t k = 0; k < c; ++k)
        pixel[static_cast<std::size_t>(k)] =
            range(static_cast<double>(samples[static_cast<std::size_t>((v * w + u) * c + k)]));
      picture.set(box.x + x, box.y + y, color_of(pixel, c));
    }
}

}  // namespace

void Picture::blit(const Tensor& image, Box box) {
  const Tensor plane = flat(image);
  switch (plane.dtype()) {
    case DType::u8:
      return draw<std::uint8_t>(*this, plane, box);
    case DType::u16:
      return draw<std::uint16_t>(*this, plane, box);
    case DType::f32:
      return draw<float>(*this, plane, box);
    case DType::f64:
      return draw<double>(*this, plane, box);
    default:
      throw UsageError(
          fmt::format("an image of type {} cannot be drawn; expected uint8, uint16, float32 or float64",
                      name_of(plane.dtype())));
  }
}

}  // namespace convoy
