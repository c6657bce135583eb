#include "launch/train/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/tensor/error.h"

namespace convoy {
namespace {

int axes_of(const Task& task) { return task.image.rank() - 1; }

/// Extent of the crop.
std::int64_t crop_of(const Task& task, int axis) {
  const std::int64_t size = task.prepare.size[static_cast<std::size_t>(axis)];
  return size ? size : task.image[axis];
}

void check_ten(const Task& task) {
  if (axes_of(task) != 2)
    throw UsageError(fmt::format("--crops=10 is of pictures, and the images here have {} spatial axes; dense looks at whole "
                                 "images of any", axes_of(task)));
  if (task.image[0] <= crop_of(task, 0) && task.image[1] <= crop_of(task, 1))
    throw UsageError(fmt::format("--crops=10 needs images larger than what the model takes, but both are {} x {}; dense looks "
                                 "at the whole image and its mirror image; of pictures that are brought to data.size, a larger "
                                 "data.resize-short makes room", task.image[0], task.image[1]));
}

std::vector<View> with_mirror_images(std::vector<View> views) {
  const std::size_t upright = views.size();
  for (std::size_t i = 0; i < upright; ++i) {
    views.push_back(views[i]);
    views.back().mirrored = true;
  }
  return views;
}

}  // namespace

Crops crops_of(const std::string& name) {
  if (name == "10") return Crops::ten;
  if (name == "144") return Crops::squares;
  return name == "dense" ? Crops::dense : Crops::one;
}

std::optional<PictureCrops> picture_crops_of(Crops crops, const Task& task, const DatasetInfo& data, std::int64_t resize_short) {
  if (crops != Crops::squares && (crops != Crops::ten || !data.has_views || resize_short == 0)) return {};
  PictureCrops cuts{crops == Crops::ten ? PictureCrops::Plan::corners : PictureCrops::Plan::squares, {}, 0};
  if (axes_of(task) != 2)
    throw UsageError(fmt::format("--crops=144 is of pictures, and the images here have {} spatial axes; dense looks at whole images of "
                                 "any", axes_of(task)));
  for (int axis = 0; axis < 2; ++axis) cuts.size[axis] = crop_of(task, axis);
  if (crops == Crops::ten) cuts.resize_short = resize_short;
  try {
    check_crops(data, cuts);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("--crops={}: {}", crops == Crops::ten ? 10 : 144, error.what()));
  }
  return cuts;
}

std::vector<View> views_of_crops() { return with_mirror_images({View{}}); }

std::vector<View> views_of(Crops crops, const Task& task) {
  if (crops == Crops::one) return {View{}};
  std::vector<View> views{View{}};
  if (crops == Crops::ten) {
    check_ten(task);
    for (double row : {0.0, 1.0})
      for (double column : {0.0, 1.0}) views.push_back({{row, column, 0.5}});
  }
  return with_mirror_images(std::move(views));
}

void write_transforms(const View& view, const Task& task, std::span<std::int32_t> rows) {
  std::array<std::int32_t, 4> row{};
  for (int axis = 0; axis < axes_of(task); ++axis) {
    const auto margin = static_cast<double>(task.image[axis] - crop_of(task, axis));
    row[static_cast<std::size_t>(axis)] = static_cast<std::int32_t>(std::floor(view.at[axis] * margin));
  }
  row[3] = view.mirrored ? 1 << (axes_of(task) - 1) : 0;
  for (std::size_t i = 0; i + 4 <= rows.size(); i += 4) std::copy(row.begin(), row.end(), rows.begin() + static_cast<std::ptrdiff_t>(i));
}

}  // namespace convoy
