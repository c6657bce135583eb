#pragma once
// mistakes.png: images that a classifier took for something else.
#include <span>
#include <string>

#include "io/picture.h"

namespace convoy {

struct MistakenSample {
  Tensor image;       // as Picture::blit takes it, float images as stored or normalised
  std::string truth;  // names of classes
  std::string predicted;
  double probability = 0;  // of the predicted class, in [0, 1]
};

/// A grid of at most `columns` images a row in the given order, each with its captions "true: X" and
/// "predicted: Y  97%". All images take boxes of one size and keep their proportions. The first 400 are shown, at
/// most 100 a row or column. No samples give a picture that says so. Throws UsageError if columns < 1 or an image
/// cannot be drawn.
Picture mistakes_picture(std::span<const MistakenSample> samples, int columns = 6);

}  // namespace convoy
