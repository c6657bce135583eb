#pragma once
// What training does to samples at random. All draws come from Philox keyed by (seed, epoch, sample id): never from a rank,
// a thread, or a sample's place in the batch.
#include <cstdint>
#include <vector>

#include "io/dataset.h"

namespace convoy {

enum class ViewKind {
  centre,               // as in evaluation
  random_resized_crop,  // GoogLeNet (Szegedy et al. 2015, section 6): a share of the area, of any aspect
  resize_crop,          // VGG (Simonyan & Zisserman 2015, section 3.1): the shorter side to a random length, then a crop
};

struct ViewOptions {
  ViewKind kind = ViewKind::centre;
  double area[2] = {0.08, 1};                // random_resized_crop: share of the picture, uniform
  double aspect[2] = {3.0 / 4, 4.0 / 3};     // likewise: width / height, uniform in its logarithm
  std::int64_t short_side[2] = {256, 256};   // resize_crop: uniform in [low, high]; at least the sample's extents
};

/// In this order: brightness, contrast, saturation, noise; clamped to 0..255 once, at the end.
struct ColorOptions {
  /// A factor uniform in [max(0, 1 - x), 1 + x]: of all channels; of their distance to the image's mean luminance; of their
  /// distance to the pixel's own luminance.
  double brightness = 0, contrast = 0, saturation = 0;
  /// AlexNet's (Krizhevsky et al. 2012, section 4.1): to every pixel sum over i of a_i sqrt(value_i) vector_i, a_i normal of
  /// this deviation (0.1 there). As in all implementations the square root: the values are variances, of (0..255)^2.
  double noise = 0;
  std::vector<double> values, vectors;       // DatasetInfo's color_values and color_vectors
};

/// How to draw transforms. Training: with the Philox block w = RandomKey(seed, "augment").child(epoch).child(id).block(0),
/// axis a of extent E starts its crop of extent c at ((w[a] * (E + 2 pad - c + 1)) >> 32) - pad, and the last
/// spatial axis is mirrored when `flip` and the top bit of w[3] is set. Evaluation: floor((E - c) / 2) and no flip.
/// Views and colours draw from child keys of the sample's.
struct AugmentOptions {
  std::int64_t crop[3] = {0, 0, 0};       // extents of the crop per axis; 0: the whole axis
  std::int64_t pad[3] = {0, 0, 0};        // virtual border on both sides from which crops are drawn
  bool flip = false;                      // mirror along the last spatial axis with probability 1/2
  std::uint64_t seed = 0;                 // seed.augment
  ViewOptions view;                       // what training shows of a picture; data sets that have views alone
  ColorOptions color;                     // images of uint8 with two spatial axes alone, as all that follows
  std::int64_t cutout = 0;                // side of a square of the mean colour in the image as cropped; 0: none
  double mixup = 0;                       // alpha; 0: none
};

/// Throws UsageError for what cannot be done to images like `info`'s.
void check_augmentation(const DatasetInfo& info, const AugmentOptions& options);

}  // namespace convoy
