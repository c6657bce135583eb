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
                                 "at the whole image and its mirror image", task.image[0], task.image[1]));
}

}  // namespace

Crops crops_of(const std::string& name) {
  if (name == "10") return Crops::ten;
  return name == "dense" ? Crops::dense : Crops::one;
}

std::vector<View> views_of(Crops crops, const Task& task) {
  if (crops == Crops::one) return {View{}};
  std::vector<View> views{View{}};
  if (crops == Crops::ten) {
    check_ten(task);
    for (double row : {0.0, 1.0})
      for (double column : {0.0, 1.0}) views.push_back({{row, column, 0.5}});
  }
  const std::size_t upright = views.size();
  for (std::size_t i = 0; i < upright; ++i) {
    views.push_back(views[i]);
    views.back().mirrored = true;
  }
  return views;
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
