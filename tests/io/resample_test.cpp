// Resampling against the filter's formula in double precision.
#include "io/resample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "test_pictures.h"

namespace convoy {
namespace {

Tensor resampled(const Tensor& source, const PictureView& view, std::int64_t height, std::int64_t width) {
  const auto channels = static_cast<int>(source.shape()[2]);
  Tensor target(Shape{height, width, channels}, DType::u8);
  Resampler().run({source.values<std::uint8_t>().data(), source.shape()[1] * channels, source.shape()[0], source.shape()[1], channels},
                  view, target.values<std::uint8_t>().data(), height, width);
  return target;
}

/// Weight of source pixel p for a target at `centre`, not normalised.
double triangle(std::int64_t p, double centre, double reach) {
  return std::max(0.0, 1 - std::abs(static_cast<double>(p) + 0.5 - centre) / reach);
}

/// Both axes at once, in double.
Tensor expected(const Tensor& source, const PictureView& view, std::int64_t height, std::int64_t width) {
  const std::int64_t h = source.shape()[0], w = source.shape()[1], channels = source.shape()[2];
  const double scale_y = view.height / static_cast<double>(height), scale_x = view.width / static_cast<double>(width);
  Tensor target(Shape{height, width, channels}, DType::u8);
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c) {
        double sum = 0, weights = 0;
        for (std::int64_t j = 0; j < h; ++j) {
          const double wy = triangle(j, view.top + (static_cast<double>(y) + 0.5) * scale_y, std::max(scale_y, 1.0));
          for (std::int64_t i = 0; wy > 0 && i < w; ++i) {
            const double weight = wy * triangle(i, view.left + (static_cast<double>(x) + 0.5) * scale_x, std::max(scale_x, 1.0));
            weights += weight;
            sum += weight * source.values<std::uint8_t>()[static_cast<std::size_t>((j * w + i) * channels + c)];
          }
        }
        target.values<std::uint8_t>()[static_cast<std::size_t>((y * width + x) * channels + c)] =
            static_cast<std::uint8_t>(std::lround(sum / weights));
      }
  return target;
}

TEST(Resample, FollowsTheTriangleFilter) {
  for (int channels : {1, 3}) {
    const Tensor source = test_picture(57, 71, channels);
    for (const PictureView& view : {PictureView{0, 0, 57, 71}, PictureView{3.25, 10.5, 30.75, 44.125}, PictureView{40, 60, 17, 11}, PictureView{20, 20, 4, 4}})
      for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{16, 16}, {57, 71}, {9, 40}, {100, 90}}) {
        const Tensor got = resampled(source, view, height, width), want = expected(source, view, height, width);
        int worst = 0;
        for (std::size_t i = 0; i < got.values<std::uint8_t>().size(); ++i)
          worst = std::max(worst, std::abs(int{got.values<std::uint8_t>()[i]} - int{want.values<std::uint8_t>()[i]}));
        EXPECT_LE(worst, 1) << view.top << " " << view.height << " to " << height << " x " << width;
        EXPECT_LT(mean_difference(got, want), 0.05);
      }
  }
}

TEST(Resample, TheWholePictureAtItsOwnExtentsIsItself) {
  const Tensor source = test_picture(33, 45);
  EXPECT_EQ(mean_difference(resampled(source, {0, 0, 33, 45}, 33, 45), source), 0);
  EXPECT_EQ(resampled(source, {4, 5, 20, 30}, 20, 30).values<std::uint8_t>()[0], source.values<std::uint8_t>()[(4 * 45 + 5) * 3]);
}

TEST(Resample, OneColourStaysOneColour) {
  for (int value : {0, 1, 77, 254, 255}) {
    Tensor source(Shape{401, 303, 3}, DType::u8);
    std::fill_n(source.values<std::uint8_t>().data(), source.elements(), static_cast<std::uint8_t>(value));
    for (std::int64_t size : {1, 7, 224, 500}) {
      const Tensor target = resampled(source, {1.3, 2.7, 390.1, 299.9}, size, size);
      for (const std::uint8_t pixel : target.values<std::uint8_t>()) ASSERT_EQ(pixel, value) << size;
    }
  }
}

TEST(Resample, AHalfAveragesNeighbours) {
  Tensor source(Shape{2, 4, 1}, DType::u8);
  const std::uint8_t values[] = {0, 100, 200, 200, 0, 100, 200, 200};
  std::copy(std::begin(values), std::end(values), source.values<std::uint8_t>().data());
  const Tensor half = resampled(source, {0, 0, 2, 4}, 1, 2);
  // Centre 1, reach 2: weights 1/4 3/4 3/4 1/4 on pixels -1 to 2, of which -1 is not there.
  EXPECT_EQ(half.values<std::uint8_t>()[0], std::lround((3 * 0 + 3 * 100 + 200) / 7.0));
}

}  // namespace
}  // namespace convoy
