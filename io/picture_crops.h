#pragma once
// Several images of one picture, over which an evaluation averages. Their mirror images are the op prepare's business.
#include <cstdint>
#include <memory>
#include <vector>

#include "io/dataset.h"

namespace convoy {

struct PictureCrops {
  enum class Plan {
    /// The shorter side is brought to `resize_short`; the middle, as centre_view() has it, and the four corners (Krizhevsky,
    /// Sutskever & Hinton 2012, section 4.1, but of the whole picture instead of its central square).
    corners,
    /// GoogLeNet's (Szegedy et al. 2015, section 7): the shorter side is brought to 256, 288, 320 and 352 for images of 224, in
    /// proportion for others; of each the left, the middle and the right square (top, middle, bottom of a portrait); of each
    /// square the four corners, the middle, and the square itself brought to the size: 4 x 3 x 6 images.
    squares,
  };
  Plan plan = Plan::corners;
  std::int64_t size[2] = {0, 0};   // height and width of every image; equal for squares
  std::int64_t resize_short = 0;   // corners alone
};

/// 5 or 72.
std::int64_t images_of(const PictureCrops& crops);

/// A part of the picture, brought to height x width, and what is cut from it: a cut of another size is brought to that of the
/// images in its turn.
struct CropSource {
  PictureView view;
  std::int64_t height = 0, width = 0;
  std::vector<PixelBox> cuts;
};
/// For a picture of these extents; the images in their order. A picture that is too small is enlarged.
std::vector<CropSource> crop_sources(const PictureCrops& crops, std::int64_t height, std::int64_t width);

/// Throws UsageError: not pictures of uint8 with at most 4 channels, a size that is none, squares of a size that is not square,
/// a `resize_short` that leaves no room around images of the size.
void check_crops(const DatasetInfo& info, const PictureCrops& crops);

/// Samples [images, height, width, c] of the same labels and ids; a picture is read and decoded once for all of its images.
/// `pictures` outlives it. Throws what check_crops() does.
std::unique_ptr<Dataset> make_cropped_dataset(const Dataset& pictures, const PictureCrops& crops);

}  // namespace convoy
