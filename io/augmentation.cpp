#include "io/augmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// Children of a sample's key; the key's own block 0 draws crop and flip.
constexpr std::uint64_t kViewKey = 1, kColorKey = 2, kCutoutKey = 3, kMixupKey = 4;

void require_pictures(const DatasetInfo& info, const char* what) {
  if (info.dtype != DType::u8 || info.sample.rank() != 3)
    throw UsageError(fmt::format("{} works on pictures of uint8 [h, w, c], but these are {} {}", what, name_of(info.dtype),
                                 info.sample.str()));
}

double between(double low, double high, double share) { return low + (high - low) * share; }

/// BT.601, as JPEG's own luminance.
constexpr double kLuminance[3] = {0.299, 0.587, 0.114};

}  // namespace

ViewSampler::ViewSampler(const DatasetInfo& info, const ViewOptions& options, const std::int64_t size[2])
    : options_(options), size_{size[0], size[1]} {
  if (options.kind == ViewKind::centre) return;
  if (!info.has_views) throw UsageError("data.view draws parts of pictures, which needs data.size: the extents to bring them to");
  if (!(options.area[0] > 0 && options.area[0] <= options.area[1] && options.area[1] <= 1))
    throw UsageError(fmt::format("data.area is {},{}; expected two shares above 0, the smaller first, at most 1", options.area[0],
                                 options.area[1]));
  if (!(options.aspect[0] > 0 && options.aspect[0] <= options.aspect[1]))
    throw UsageError(fmt::format("data.aspect is {},{}; expected two ratios above 0, the smaller first", options.aspect[0],
                                 options.aspect[1]));
  if (options.kind == ViewKind::resize_crop &&
      (options.short_side[0] < std::max(size[0], size[1]) || options.short_side[1] < options.short_side[0]))
    throw UsageError(fmt::format("data.short-side is {},{}; expected two lengths, the smaller first, not below data.size ({} x {})",
                                 options.short_side[0], options.short_side[1], size[0], size[1]));
}

PictureView ViewSampler::draw(const RandomKey& sample, std::int64_t height, std::int64_t width) const {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  switch (options_.kind) {
    case ViewKind::random_resized_crop: return random_resized_crop(sample.child(kViewKey), h, w);
    case ViewKind::resize_crop: return resize_crop(sample.child(kViewKey), h, w);
    case ViewKind::centre: break;
  }
  return centre_view(height, width, size_, 0);
}

PictureView ViewSampler::random_resized_crop(const RandomKey& key, double height, double width) const {
  constexpr std::uint64_t kAttempts = 10;
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    const double area = height * width * between(options_.area[0], options_.area[1], key.uniform_double(4 * attempt));
    const double aspect = std::exp(between(std::log(options_.aspect[0]), std::log(options_.aspect[1]), key.uniform_double(4 * attempt + 1)));
    // Whole pixels, as torchvision draws them; so the last bit of exp() does not show.
    const double view_width = std::floor(std::sqrt(area * aspect) + 0.5), view_height = std::floor(std::sqrt(area / aspect) + 0.5);
    if (view_width < 1 || view_height < 1 || view_width > width || view_height > height) continue;
    return {std::floor(key.uniform_double(4 * attempt + 2) * (height - view_height + 1)),
            std::floor(key.uniform_double(4 * attempt + 3) * (width - view_width + 1)), view_height, view_width};
  }
  // A strip that no such form fits into: the largest part around its centre that has an allowed aspect.
  const double aspect = std::clamp(width / height, options_.aspect[0], options_.aspect[1]);
  const double view_width = std::min(width, height * aspect), view_height = std::min(height, width / aspect);
  return {(height - view_height) / 2, (width - view_width) / 2, view_height, view_width};
}

PictureView ViewSampler::resize_crop(const RandomKey& key, double height, double width) const {
  const auto choices = static_cast<std::uint64_t>(options_.short_side[1] - options_.short_side[0] + 1);
  const auto side = static_cast<double>(options_.short_side[0] + key.below(0, choices));
  const double scale = std::min(height, width) / side;  // pixels of the picture per pixel of the sample
  const double view_height = std::min(static_cast<double>(size_[0]) * scale, height);
  const double view_width = std::min(static_cast<double>(size_[1]) * scale, width);
  return {key.uniform_double(1) * (height - view_height), key.uniform_double(2) * (width - view_width), view_height, view_width};
}

ColorChange::ColorChange(const DatasetInfo& info, const ColorOptions& options) : options_(options) {
  exists_ = options.brightness > 0 || options.contrast > 0 || options.saturation > 0 || options.noise > 0;
  if (!exists_) return;
  require_pictures(info, "a change of colours (data.brightness, contrast, saturation, color-noise)");
  channels_ = static_cast<int>(info.sample[2]);
  pixels_ = info.sample.elements(0, 2);
  const bool needs_colors = options.saturation > 0 || options.noise > 0;
  if (channels_ != 3 && (channels_ != 1 || needs_colors))
    throw UsageError(fmt::format("a change of colours for {} channels; expected 3, or 1 without saturation and noise", channels_));
  if (options.noise > 0 && (options.values.size() != 3 || options.vectors.size() != 9))
    throw UsageError("data.color-noise needs the eigenvectors of the colours, which `convoy data import` stores "
                     "for colour pictures of uint8; this data set has none: import it again");
}

double ColorChange::mean_luminance(const std::uint8_t* image) const {
  if (options_.contrast == 0) return 0;
  std::uint64_t sums[3] = {};
  for (std::int64_t i = 0; i < pixels_; ++i)
    for (int c = 0; c < channels_; ++c) sums[c] += image[i * channels_ + c];
  const auto count = static_cast<double>(pixels_);
  if (channels_ == 1) return static_cast<double>(sums[0]) / count;
  double mean = 0;
  for (int c = 0; c < 3; ++c) mean += kLuminance[c] * (static_cast<double>(sums[c]) / count);
  return mean;
}

ColorChange::Map ColorChange::draw(const RandomKey& key, double mean) const {
  const auto factor = [&](double range, std::uint64_t element) {
    return between(std::max(0.0, 1 - range), 1 + range, key.uniform_double(element));
  };
  const double brightness = factor(options_.brightness, 0), contrast = factor(options_.contrast, 1);
  const double saturation = factor(options_.saturation, 2);
  constexpr double kOne = 65536;
  Map map;
  for (int i = 0; i < channels_; ++i) {
    for (int j = 0; j < channels_; ++j) {
      const double own = i == j ? saturation : 0, gray = channels_ == 3 ? (1 - saturation) * kLuminance[j] : 0;
      map.matrix[i][j] = std::llround((channels_ == 1 ? 1 : own + gray) * brightness * contrast * kOne);
    }
    // Saturation leaves what is gray as it is, so the shift of the contrast passes through.
    double shift = (1 - contrast) * brightness * mean;
    for (int k = 0; options_.noise > 0 && k < 3; ++k)
      shift += options_.noise * key.normal(static_cast<std::uint64_t>(8 + k)) * std::sqrt(options_.values[static_cast<std::size_t>(k)]) *
               options_.vectors[static_cast<std::size_t>(3 * k + i)];
    map.bias[i] = std::llround(shift * kOne) + 32768;
  }
  return map;
}

void ColorChange::apply(const RandomKey& sample, std::uint8_t* image) const {
  const Map map = draw(sample.child(kColorKey), mean_luminance(image));
  const auto clamped = [](std::int64_t value) { return static_cast<std::uint8_t>(std::clamp<std::int64_t>(value >> 16, 0, 255)); };
  if (channels_ == 1) {
    for (std::int64_t i = 0; i < pixels_; ++i) image[i] = clamped(map.matrix[0][0] * image[i] + map.bias[0]);
    return;
  }
  for (std::int64_t i = 0; i < pixels_; ++i, image += 3) {
    const std::int64_t r = image[0], g = image[1], b = image[2];
    for (int c = 0; c < 3; ++c)
      image[c] = clamped(map.matrix[c][0] * r + map.matrix[c][1] * g + map.matrix[c][2] * b + map.bias[c]);
  }
}

void check_augmentation(const DatasetInfo& info, const AugmentOptions& options) {
  const std::int64_t size[2] = {info.sample[0], info.sample[1]};
  ViewSampler(info, options.view, size);
  ColorChange(info, options.color);
  Cutout(info, options.cutout, size);
  Mixup(info, options.mixup);
}

Mixup::Mixup(const DatasetInfo& info, double alpha) : alpha_(alpha), elements_(info.sample.elements()) {
  if (alpha == 0) return;
  if (!(alpha >= 0.05 && alpha <= 1)) throw UsageError(fmt::format("data.mixup is {}; expected an alpha of 0.05 to 1, or 0", alpha));
  if (info.dtype != DType::u8) throw UsageError(fmt::format("data.mixup works on images of uint8, but these are {}", name_of(info.dtype)));
}

int Mixup::draw(const RandomKey& sample) const {
  // Joehnk 1964: of uniform u and v, x = u^(1/alpha) and y = v^(1/alpha) with x + y <= 1 give the Beta variate x / (x + y).
  const RandomKey key = sample.child(kMixupKey);
  constexpr std::uint64_t kAttempts = 64;  // alpha = 1 takes two on average
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    const double x = std::pow(key.uniform_double(2 * attempt), 1 / alpha_), y = std::pow(key.uniform_double(2 * attempt + 1), 1 / alpha_);
    if (x + y > 0 && x + y <= 1) return static_cast<int>(std::lround(256 * (x / (x + y))));
  }
  return 128;
}

void Mixup::mix(std::uint8_t* a, std::uint8_t* b, int first, int second) const {
  for (std::int64_t i = 0; i < elements_; ++i) {
    const int x = a[i], y = b[i];
    a[i] = static_cast<std::uint8_t>((first * x + (256 - first) * y + 128) >> 8);
    b[i] = static_cast<std::uint8_t>((second * y + (256 - second) * x + 128) >> 8);
  }
}

Cutout::Cutout(const DatasetInfo& info, std::int64_t side, const std::int64_t crop[2]) : side_(side), crop_{crop[0], crop[1]} {
  if (side < 0) throw UsageError(fmt::format("data.cutout is {}; expected the side of a square, or 0", side));
  if (side == 0) return;
  require_pictures(info, "data.cutout");
  height_ = info.sample[0];
  width_ = info.sample[1];
  for (const double mean : info.channel_mean) fill_.push_back(static_cast<std::uint8_t>(std::clamp(mean + 0.5, 0.0, 255.0)));
}

void Cutout::apply(const RandomKey& sample, const std::int32_t* transform, std::uint8_t* image) const {
  const RandomKey key = sample.child(kCutoutKey);
  std::int64_t begin[2], end[2];  // in the image as stored
  const std::int64_t extents[2] = {height_, width_};
  for (int axis = 0; axis < 2; ++axis) {
    const std::int64_t centre = key.below(static_cast<std::uint64_t>(axis), static_cast<std::uint64_t>(crop_[axis]));
    const std::int64_t low = std::max<std::int64_t>(centre - side_ / 2, 0);
    const std::int64_t high = std::min(centre - side_ / 2 + side_, crop_[axis]);
    const bool mirrored = (transform[3] >> axis) & 1;
    begin[axis] = std::clamp<std::int64_t>(transform[axis] + (mirrored ? crop_[axis] - high : low), 0, extents[axis]);
    end[axis] = std::clamp<std::int64_t>(transform[axis] + (mirrored ? crop_[axis] - low : high), 0, extents[axis]);
  }
  const auto channels = static_cast<std::int64_t>(fill_.size());
  for (std::int64_t y = begin[0]; y < end[0]; ++y)
    for (std::int64_t x = begin[1]; x < end[1]; ++x)
      std::copy(fill_.begin(), fill_.end(), image + (y * width_ + x) * channels);
}

}  // namespace convoy
