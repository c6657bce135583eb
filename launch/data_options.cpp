#include "launch/data_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "core/tensor/error.h"
#include "launch/options.h"

namespace convoy {
namespace {

/// One number for all axes or one per axis; `fallback` where the list is empty.
void fill_axes(const Config& config, std::string_view option, int axes, std::int64_t* values,
               std::int64_t fallback) {
  const auto numbers = config.get<std::vector<std::int64_t>>(option);
  if (!numbers.empty() && numbers.size() != 1 && static_cast<int>(numbers.size()) != axes)
    throw UsageError(fmt::format("{} has {} numbers; the images have {} spatial axes, so give one or {}",
                                 option, numbers.size(), axes, axes));
  for (int axis = 0; axis < axes; ++axis)
    values[axis] =
        numbers.empty() ? fallback : numbers[numbers.size() == 1 ? 0 : static_cast<std::size_t>(axis)];
}

}  // namespace

namespace {

/// "0.08,1" or "3/4,4/3".
void fill_range(const Config& config, const char* option, double* range) {
  const auto text = config.get<std::string>(option);
  const auto fail = [&] {
    throw UsageError(fmt::format("{} is \"{}\"; expected two numbers or fractions with a comma between, as 3/4,4/3", option, text));
  };
  const auto number = [&](std::string_view part) {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size()) fail();
    return value;
  };
  const std::size_t comma = text.find(',');
  if (comma == std::string::npos) fail();
  for (int i = 0; i < 2; ++i) {
    const std::string part = i == 0 ? text.substr(0, comma) : text.substr(comma + 1);
    const std::size_t slash = part.find('/');
    range[i] = slash == std::string::npos
                   ? number(part)
                   : number(std::string_view(part).substr(0, slash)) / number(std::string_view(part).substr(slash + 1));
  }
}

ViewOptions view_options(const Config& config) {
  ViewOptions view;
  const auto kind = config.get<std::string>("data.view");
  view.kind = kind == "centre" ? ViewKind::centre
              : kind == "resize-crop" ? ViewKind::resize_crop : ViewKind::random_resized_crop;
  fill_range(config, "data.area", view.area);
  fill_range(config, "data.aspect", view.aspect);
  const auto sides = config.get<std::vector<std::int64_t>>("data.short-side");
  if (sides.empty() || sides.size() > 2)
    throw UsageError(fmt::format("data.short-side has {} numbers; expected one length, or the least and the greatest", sides.size()));
  view.short_side[0] = sides.front();
  view.short_side[1] = sides.back();
  return view;
}

}  // namespace

void check_view_options(const Config& config) {
  const auto view = config.get<std::string>("data.view");
  for (const auto& [option, owner] : {std::pair{"data.area", "random-resized-crop"}, {"data.aspect", "random-resized-crop"},
                                      {"data.short-side", "resize-crop"}})
    if (config.changed(option) && view != owner)
      throw UsageError(fmt::format("{} belongs to data.view = {}, but it is {}", option, owner, view));
  DatasetOptions options;
  set_view(config, options);
  DatasetInfo pictures;
  pictures.has_views = options.size[0] > 0;
  pictures.sample = Shape{options.size[0], options.size[1], 3};
  check_augmentation(pictures, {.view = view_options(config)});
}

void set_view(const Config& config, DatasetOptions& options) {
  const auto size = config.get<std::vector<std::int64_t>>("data.size");
  if (size.size() > 2)
    throw UsageError(fmt::format("data.size has {} numbers; expected one, or height and width", size.size()));
  if (!size.empty()) {
    options.size[0] = size.front();
    options.size[1] = size.back();
  }
  options.resize_short = config.get<std::int64_t>("data.resize-short");
  if (options.resize_short > 0 && size.empty()) throw UsageError("data.resize-short needs data.size: the extents taken from the centre");
}

std::string describe(const AugmentOptions& augment) {
  std::string text = fmt::format("crop={} pad={} flip={}", fmt::join(augment.crop, ","), fmt::join(augment.pad, ","), augment.flip);
  const ViewOptions& view = augment.view;
  // Only what is used: a record written before there was such an option still fits.
  if (view.kind == ViewKind::random_resized_crop)
    text += fmt::format(" view=random-resized-crop area={} aspect={}", fmt::join(view.area, ","), fmt::join(view.aspect, ","));
  if (view.kind == ViewKind::resize_crop) text += fmt::format(" view=resize-crop short-side={}", fmt::join(view.short_side, ","));
  const ColorOptions& color = augment.color;
  if (color.brightness > 0 || color.contrast > 0 || color.saturation > 0)
    text += fmt::format(" brightness={} contrast={} saturation={}", color.brightness, color.contrast, color.saturation);
  if (color.noise > 0) text += fmt::format(" color-noise={}", color.noise);
  if (augment.mixup > 0) text += fmt::format(" mixup={}", augment.mixup);
  if (augment.cutout > 0) text += fmt::format(" cutout={}", augment.cutout);
  return text;
}

Split split_of(const std::string& name) {
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    if (name == name_of(split)) return split;
  }
  throw UsageError(fmt::format("data.split = '{}': expected train, validation or test", name));
}

AugmentOptions augment_options(const Config& config, const DatasetInfo& info, std::uint64_t seed) {
  AugmentOptions augment;
  const int axes = info.sample.rank() - 1;
  fill_axes(config, "data.crop", axes, augment.crop, 0);
  fill_axes(config, "data.pad", axes, augment.pad, 0);
  augment.flip = config.get<bool>("data.flip");
  augment.seed = seed;
  augment.view = view_options(config);
  augment.color = {config.get<double>("data.brightness"), config.get<double>("data.contrast"), config.get<double>("data.saturation"),
                   config.get<double>("data.color-noise"), info.color_values, info.color_vectors};
  augment.cutout = config.get<std::int64_t>("data.cutout");
  if (find_option(config.command(), "data.mixup")) augment.mixup = config.get<double>("data.mixup");
  if (!info.encoding.empty() && !info.has_views)
    throw UsageError(fmt::format("data.path holds {} pictures of many sizes: choose the extents to bring them to, such as "
                                 "--data.size=224",
                                 info.encoding));
  check_augmentation(info, augment);
  for (int axis = 0; axis < axes; ++axis)
    if (augment.crop[axis] > info.sample[axis] + 2 * augment.pad[axis])
      throw UsageError(
          fmt::format("data.crop: {} pixels do not fit into the {} of the images with a border of {}",
                      augment.crop[axis], info.sample[axis], augment.pad[axis]));
  return augment;
}

}  // namespace convoy
