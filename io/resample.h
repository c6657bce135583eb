#pragma once
// A rectangle of a picture, brought to other extents: bilinear interpolation where it grows, a triangle filter as wide as
// the reduction where it shrinks (antialiased; Pillow's and torchvision's BILINEAR). All in integers from weights that are
// rounded once, so the same bits on every CPU.
#include <cstdint>
#include <vector>

#include "io/view.h"

namespace convoy {

/// Pixels in memory, channels-last.
struct PixelRows {
  const std::uint8_t* data = nullptr;  // first channel of the first pixel
  std::int64_t row_bytes = 0;
  std::int64_t height = 0, width = 0;
  int channels = 0;                    // 1 to 4
};

/// Keeps its memory from one picture to the next. One thread at a time.
class Resampler {
 public:
  /// `view` of `source` -> `target` [height, width, channels]. Pixels beyond the view's edges are used where the filter
  /// reaches them; beyond the source's there are none, and the weights of the others grow. Constant pictures stay
  /// constant. The view must overlap the source.
  void run(const PixelRows& source, const PictureView& view, std::uint8_t* target, std::int64_t height, std::int64_t width);

 private:
  /// For every output position: where its taps begin, how many, and their weights, which sum to 2^14.
  struct Axis {
    std::vector<std::int32_t> first, count;
    std::vector<std::int16_t> weights;  // [positions, most]
    std::int64_t most = 0;
  };
  void plan(Axis& axis, double begin, double extent, std::int64_t source, std::int64_t target);

  Axis rows_, columns_;
  std::vector<std::int16_t> line_;
  std::vector<double> exact_;
};

/// How far beyond a view the filter reads, in source pixels, when `extent` pixels become `target`.
double filter_reach(double extent, std::int64_t target);

}  // namespace convoy
