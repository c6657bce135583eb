#pragma once
// Draws and applies what io/augment.h describes. Private to io.
#include <cstddef>

#include "core/random/philox.h"
#include "io/augment.h"
#include "io/dataset.h"

namespace convoy {

/// The view of a picture for one sample of one epoch. Immutable; any number of threads.
class ViewSampler {
 public:
  /// Throws UsageError for ranges that are none, or a shorter side below the sample's extents.
  ViewSampler(const DatasetInfo& info, const ViewOptions& options, const std::int64_t size[2]);
  /// centre: the whole picture's centre, as large as the form of the sample allows.
  PictureView draw(const RandomKey& sample, std::int64_t height, std::int64_t width) const;
  bool is_random() const { return options_.kind != ViewKind::centre; }

 private:
  PictureView random_resized_crop(const RandomKey& key, double height, double width) const;
  PictureView resize_crop(const RandomKey& key, double height, double width) const;

  ViewOptions options_;
  std::int64_t size_[2];
};

/// A random affine map of the channels.
class ColorChange {
 public:
  /// Throws UsageError: images that are not uint8 of 1 or 3 channels and two axes, noise without a basis, gray ones with
  /// saturation.
  ColorChange(const DatasetInfo& info, const ColorOptions& options);
  bool exists() const { return exists_; }
  void apply(const RandomKey& sample, std::uint8_t* image) const;

 private:
  /// image = matrix image + bias, both in 16 bits of fraction.
  struct Map {
    std::int64_t matrix[3][3] = {};
    std::int64_t bias[3] = {};
  };
  Map draw(const RandomKey& key, double mean_luminance) const;
  double mean_luminance(const std::uint8_t* image) const;

  ColorOptions options_;
  std::int64_t pixels_ = 0;
  int channels_ = 0;
  bool exists_ = false;
};

/// A square of the mean colour (DeVries & Taylor 2017, "Improved regularization of convolutional neural networks with
/// cutout"): its centre uniform in the image as cropped, beyond whose edges it may reach.
class Cutout {
 public:
  /// `crop`: extents of the image that `prepare` takes. Throws UsageError for images that are not uint8 with two axes.
  Cutout(const DatasetInfo& info, std::int64_t side, const std::int64_t crop[2]);
  bool exists() const { return side_ > 0; }
  /// `transform`: the sample's row for `prepare`, through which the square is traced back.
  void apply(const RandomKey& sample, const std::int32_t* transform, std::uint8_t* image) const;

 private:
  std::int64_t side_, height_ = 0, width_ = 0;
  std::int64_t crop_[2];
  std::vector<std::uint8_t> fill_;  // [c]
};

/// Zhang et al. 2018: rows 2k and 2k + 1 of a micro-batch become mixtures of each other, row r lambda_r itself and the rest its
/// partner; lambda_r is Beta(alpha, alpha), drawn for the sample and rounded to 1/256, so that weights sum exactly. A last row
/// without a partner stays as it is.
class Mixup {
 public:
  /// Throws UsageError: images that are not uint8, alpha outside [0.05, 1].
  Mixup(const DatasetInfo& info, double alpha);
  bool exists() const { return alpha_ > 0; }
  /// The sample's lambda, in 256ths.
  int draw(const RandomKey& sample) const;
  /// Mixes two images; `first` of the first and `second` of the second are 256ths that each keeps of itself.
  void mix(std::uint8_t* a, std::uint8_t* b, int first, int second) const;

 private:
  double alpha_;
  std::int64_t elements_;
};

}  // namespace convoy
