#pragma once
// The ways of looking at an image over whose class probabilities an evaluation averages.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/models/training.h"
#include "io/picture_crops.h"

namespace convoy {

/// A crop of the model's extents out of an image.
struct View {
  double at[3] = {0.5, 0.5, 0.5};  // per axis: 0 the low border, 1/2 the middle, 1 the high border
  bool mirrored = false;           // along the last spatial axis
};

/// 1: the middle. 10: four corners and the middle of a picture, and their mirror images (Krizhevsky, Sutskever & Hinton
/// 2012, section 4.1). 144: of squares of four sizes, and mirrored (Szegedy et al. 2015, section 7). dense: the whole image and
/// its mirror image, through the net as a fully convolutional one (Simonyan & Zisserman 2015, section 3.2).
enum class Crops { one, ten, squares, dense };
/// Of --crops.
Crops crops_of(const std::string& name);

/// What io makes of every picture for these crops: 144 always, 10 where samples are views of pictures whose shorter side is
/// brought to `resize_short`, larger than the sample. Else nothing: the views are crops of samples as they are read. Throws
/// UsageError where that cannot be done to such data.
std::optional<PictureCrops> picture_crops_of(Crops crops, const Task& task, const DatasetInfo& data, std::int64_t resize_short);

/// The views of a sample as it is read; of images that io made of a picture, each whole and mirrored. Throws UsageError where
/// the task's images have no such views: ten crops of a volume, or of images that are not larger than the crop.
std::vector<View> views_of(Crops crops, const Task& task);
std::vector<View> views_of_crops();

/// Rows of `prepare`'s transforms (i32 [n, 4]): all of them the view. In the middle the offset is floor((E - c) / 2), also
/// where the crop is larger than the image.
void write_transforms(const View& view, const Task& task, std::span<std::int32_t> rows);

}  // namespace convoy
