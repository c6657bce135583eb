#pragma once
// The ways of looking at an image over whose class probabilities an evaluation averages.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/models/training.h"

namespace convoy {

/// A crop of the model's extents out of an image.
struct View {
  double at[3] = {0.5, 0.5, 0.5};  // per axis: 0 the low border, 1/2 the middle, 1 the high border
  bool mirrored = false;           // along the last spatial axis
};

/// 1: the middle. 10: four corners and the middle of a picture, and their mirror images (Krizhevsky, Sutskever & Hinton
/// 2012, section 4.1). dense: the whole image and its mirror image, through the net as a fully convolutional one
/// (Simonyan & Zisserman 2015, section 3.2).
enum class Crops { one, ten, dense };
/// Of --crops.
Crops crops_of(const std::string& name);

/// Throws UsageError where the task's images have no such views: ten crops of a volume, or of images that are not larger
/// than the crop.
std::vector<View> views_of(Crops crops, const Task& task);

/// Rows of `prepare`'s transforms (i32 [n, 4]): all of them the view. In the middle the offset is floor((E - c) / 2), also
/// where the crop is larger than the image.
void write_transforms(const View& view, const Task& task, std::span<std::int32_t> rows);

}  // namespace convoy
