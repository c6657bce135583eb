// What is drawn for a sample, and what it does to pixels.
#include "io/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dataset_fixture.h"
#include "test_pictures.h"

namespace convoy {
namespace {

constexpr std::int64_t kSize[2] = {32, 24};

DatasetInfo pictures(int channels = 3) {
  DatasetInfo info;
  info.sample = Shape{kSize[0], kSize[1], channels};
  info.has_views = true;
  info.channel_mean.assign(static_cast<std::size_t>(channels), 99.6);
  return info;
}

RandomKey sample(std::uint64_t id) { return RandomKey(3, "augment").child(0).child(id); }

TEST(Views, RandomResizedCropsFillTheirRanges) {
  const ViewSampler sampler(pictures(), {.kind = ViewKind::random_resized_crop}, kSize);
  double least = 1, most = 0, narrow = 10, wide = 0, mean_log = 0;
  constexpr int kDraws = 4000;
  for (std::uint64_t id = 0; id < kDraws; ++id) {
    const PictureView view = sampler.draw(sample(id), 400, 500);
    ASSERT_GE(view.top, 0);
    ASSERT_GE(view.left, 0);
    ASSERT_LE(view.top + view.height, 400);
    ASSERT_LE(view.left + view.width, 500);
    const double area = view.height * view.width / (400 * 500), aspect = view.width / view.height;
    least = std::min(least, area);
    most = std::max(most, area);
    narrow = std::min(narrow, aspect);
    wide = std::max(wide, aspect);
    mean_log += std::log(aspect) / kDraws;
  }
  EXPECT_NEAR(least, 0.08, 0.01);
  EXPECT_GT(most, 0.93);
  EXPECT_NEAR(narrow, 0.75, 0.02);
  EXPECT_NEAR(wide, 1.333, 0.02);
  EXPECT_NEAR(mean_log, 0, 0.03) << "as often wide as narrow";
}

TEST(Views, AStripFallsBackToItsCentre) {
  const ViewSampler sampler(pictures(), {.kind = ViewKind::random_resized_crop}, kSize);
  for (std::uint64_t id = 0; id < 20; ++id) {
    const PictureView view = sampler.draw(sample(id), 7, 3000);
    EXPECT_LE(view.height, 7);
    EXPECT_LE(view.width, 7 * 4.0 / 3 + 1);
    EXPECT_GE(view.left, 0);
  }
  EXPECT_EQ(sampler.draw(sample(0), 1, 1).height, 1);
}

TEST(Views, ResizeCropsHaveTheScaleOfTheirShorterSide) {
  const ViewSampler sampler(pictures(), {.kind = ViewKind::resize_crop, .short_side = {40, 80}}, kSize);
  double least = 1e9, most = 0;
  for (std::uint64_t id = 0; id < 2000; ++id) {
    const PictureView view = sampler.draw(sample(id), 200, 300);
    EXPECT_NEAR(view.height / 32, view.width / 24, 1e-9) << "the form of the sample";
    least = std::min(least, view.height);
    most = std::max(most, view.height);
    ASSERT_LE(view.top + view.height, 200 + 1e-9);
    ASSERT_LE(view.left + view.width, 300 + 1e-9);
  }
  EXPECT_DOUBLE_EQ(least, 32 * 200.0 / 80);
  EXPECT_DOUBLE_EQ(most, 32 * 200.0 / 40);
}

TEST(Views, RangesThatAreNoneAreRefused) {
  const auto refusal = [](const ViewOptions& options, DatasetInfo info = pictures()) {
    return error_of<UsageError>([&] { ViewSampler(info, options, kSize); });
  };
  EXPECT_HAS(refusal({.kind = ViewKind::random_resized_crop, .area = {0.5, 0.2}}), "data.area");
  EXPECT_HAS(refusal({.kind = ViewKind::random_resized_crop, .area = {0, 1}}), "data.area");
  EXPECT_HAS(refusal({.kind = ViewKind::random_resized_crop, .aspect = {-1, 1}}), "data.aspect");
  EXPECT_HAS(refusal({.kind = ViewKind::resize_crop, .short_side = {31, 64}}), "data.short-side");
  DatasetInfo fixed = pictures();
  fixed.has_views = false;
  EXPECT_HAS(refusal({.kind = ViewKind::resize_crop}, fixed), "data.size");
}

/// A picture after `options`, and before.
std::pair<Tensor, Tensor> changed(const ColorOptions& options, std::uint64_t id, int channels = 3) {
  const Tensor before = test_picture(kSize[0], kSize[1], channels);
  Tensor after = before.clone();
  ColorChange(pictures(channels), options).apply(sample(id), after.values<std::uint8_t>().data());
  return {before, after};
}

/// The common factor of two pictures around `centre`, by least squares.
double factor(const Tensor& before, const Tensor& after, double centre) {
  double xy = 0, xx = 0;
  for (std::size_t i = 0; i < before.values<std::uint8_t>().size(); ++i) {
    const double x = before.values<std::uint8_t>()[i] - centre, y = after.values<std::uint8_t>()[i] - centre;
    xy += x * y;
    xx += x * x;
  }
  return xy / xx;
}

TEST(Colors, BrightnessAndContrastAreFactors) {
  double least = 10, most = 0;
  for (std::uint64_t id = 0; id < 300; ++id) {
    const auto [before, after] = changed({.brightness = 0.2}, id);
    const double f = factor(before, after, 0);
    least = std::min(least, f);
    most = std::max(most, f);
    for (std::size_t i = 0; i < 100; ++i)
      ASSERT_NEAR(after.values<std::uint8_t>()[i], std::min(255.0, f * before.values<std::uint8_t>()[i]), 1.5);
  }
  EXPECT_NEAR(least, 0.8, 0.01);
  EXPECT_NEAR(most, 1.2, 0.01);
  double mean = 0;
  const Tensor gray = test_picture(kSize[0], kSize[1], 1);
  for (const std::uint8_t pixel : gray.values<std::uint8_t>()) mean += pixel / static_cast<double>(gray.elements());
  const auto [before, after] = changed({.contrast = 0.5}, 1, 1);
  const double f = factor(before, after, mean);
  EXPECT_GT(std::abs(f - 1), 0.02);
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_NEAR(after.values<std::uint8_t>()[i], std::clamp(mean + f * (before.values<std::uint8_t>()[i] - mean), 0.0, 255.0), 1.5);
}

TEST(Colors, SaturationLeavesLuminance) {
  for (std::uint64_t id = 0; id < 20; ++id) {
    const auto [before, after] = changed({.saturation = 0.3}, id);
    for (std::size_t i = 0; i < 100; ++i) {
      const auto luminance = [i](const Tensor& t) {
        const auto p = t.values<std::uint8_t>();
        return 0.299 * p[3 * i] + 0.587 * p[3 * i + 1] + 0.114 * p[3 * i + 2];
      };
      EXPECT_NEAR(luminance(before), luminance(after), 1.0);
    }
  }
}

TEST(Colors, NoiseShiftsAlongThePrincipalComponents) {
  const ColorOptions noise{.noise = 0.1, .values = {10000, 0, 0}, .vectors = {0.6, 0.8, 0, 0, 0, 1, 0.8, -0.6, 0}};
  double sum_of_squares = 0;
  constexpr int kDraws = 500;
  for (std::uint64_t id = 0; id < kDraws; ++id) {
    const auto [before, after] = changed(noise, id);
    const double shift[3] = {double(after.values<std::uint8_t>()[0]) - before.values<std::uint8_t>()[0],
                             double(after.values<std::uint8_t>()[1]) - before.values<std::uint8_t>()[1],
                             double(after.values<std::uint8_t>()[2]) - before.values<std::uint8_t>()[2]};
    EXPECT_NEAR(shift[0] * 0.8, shift[1] * 0.6, 1.0);
    EXPECT_EQ(shift[2], 0);
    sum_of_squares += shift[1] * shift[1] / kDraws;
  }
  EXPECT_NEAR(std::sqrt(sum_of_squares), 0.1 * 100 * 0.8, 0.8) << "0.1 deviations of 100, of which 0.8 in green";
}

TEST(Colors, WhatCannotBeChangedIsRefused) {
  EXPECT_HAS(error_of<UsageError>([] { ColorChange(pictures(), {.noise = 0.1}); }), "eigenvectors");
  EXPECT_HAS(error_of<UsageError>([] { ColorChange(pictures(1), {.saturation = 0.1}); }), "1 channels");
  DatasetInfo floats = pictures();
  floats.dtype = DType::f32;
  EXPECT_HAS(error_of<UsageError>([&] { ColorChange(floats, {.brightness = 0.1}); }), "uint8");
  EXPECT_FALSE(ColorChange(floats, {}).exists());
}

/// The square must be the same part of the image as cropped, whatever crop and flip are.
TEST(Cutouts, AreTracedBackThroughCropAndFlip) {
  const std::int64_t crop[2] = {20, 16};
  const Cutout cutout(pictures(), 6, crop);
  for (std::uint64_t id = 0; id < 50; ++id) {
    const auto cropped = [&](const std::int32_t (&transform)[4]) {
      Tensor image = test_picture(kSize[0], kSize[1]);
      cutout.apply(sample(id), transform, image.values<std::uint8_t>().data());
      std::string square;  // which pixels of the crop are the mean's colour
      for (std::int64_t y = 0; y < crop[0]; ++y)
        for (std::int64_t x = 0; x < crop[1]; ++x) {
          const std::int64_t from = transform[1] + ((transform[3] >> 1) & 1 ? crop[1] - 1 - x : x);
          const auto* pixel = image.values<std::uint8_t>().data() + ((transform[0] + y) * kSize[1] + from) * 3;
          square += pixel[0] == 100 && pixel[1] == 100 && pixel[2] == 100 ? 'x' : '.';
        }
      return square;
    };
    const std::string at_origin = cropped({0, 0, 0, 0});
    EXPECT_EQ(cropped({5, 3, 0, 0}), at_origin);
    EXPECT_EQ(cropped({5, 3, 0, 2}), at_origin);
    const auto count = std::count(at_origin.begin(), at_origin.end(), 'x');
    EXPECT_GE(count, 9);
    EXPECT_LE(count, 36);
  }
}

TEST(Cutouts, ReachBeyondThePaddingUnharmed) {
  const std::int64_t crop[2] = {40, 40};
  const Cutout cutout(pictures(), 30, crop);
  for (std::uint64_t id = 0; id < 100; ++id) {
    Tensor image = test_picture(kSize[0], kSize[1]);
    const std::int32_t transform[4] = {-6, -9, 0, static_cast<std::int32_t>(id % 4)};
    cutout.apply(sample(id), transform, image.values<std::uint8_t>().data());
  }
}

TEST(Mixups, SharesFollowTheBetaDistribution) {
  for (const double alpha : {0.2, 1.0}) {
    const Mixup mixup(pictures(), alpha);
    double mean = 0, square = 0;
    constexpr int kDraws = 4000;
    for (std::uint64_t id = 0; id < kDraws; ++id) {
      const double share = mixup.draw(sample(id)) / 256.0;
      ASSERT_TRUE(share >= 0 && share <= 1);
      mean += share / kDraws;
      square += share * share / kDraws;
    }
    EXPECT_NEAR(mean, 0.5, 0.03);
    EXPECT_NEAR(square - mean * mean, 1 / (4 * (2 * alpha + 1)), 0.01);  // the variance of Beta(alpha, alpha)
  }
}

TEST(Mixups, BlendBothImagesAtOnce) {
  const DatasetInfo info = pictures();
  Tensor a = test_picture(kSize[0], kSize[1], 3, 1), b = test_picture(kSize[0], kSize[1], 3, 2);
  const Tensor a0 = a.clone(), b0 = b.clone();
  Mixup(info, 0.5).mix(a.values<std::uint8_t>().data(), b.values<std::uint8_t>().data(), 192, 256);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(a.values<std::uint8_t>()[i], std::lround((3 * a0.values<std::uint8_t>()[i] + b0.values<std::uint8_t>()[i]) / 4.0 + 1e-9));
    EXPECT_EQ(b.values<std::uint8_t>()[i], b0.values<std::uint8_t>()[i]) << "all of itself";
  }
  EXPECT_HAS(error_of<UsageError>([&] { Mixup(info, 1.5); }), "data.mixup");
}

}  // namespace
}  // namespace convoy
