#include "io/confusion_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/tensor/error.h"
#include "io/font.h"

namespace convoy {
namespace {

constexpr Color kRight{33, 102, 172}, kWrong{202, 44, 38}, kInk{40, 40, 40}, kRule{225, 225, 225},
    kFaint{120, 120, 120};
constexpr int kMargin = 16, kLongestName = 18, kMostCounted = 40, kMostNamed = 128, kMostClasses = 2000;

struct Layout {
  int classes = 0, cell = 0;
  int scale = 1;          // of names and counts
  bool counts = true;     // whether they are written
  int names = 0;          // pixels that the names take, to the left and above; 0: not shown
  int left = 0, top = 0;  // upper left corner of the cells
  int side() const { return classes * cell; }
};

Layout layout_of(const std::vector<std::string>& names, std::int64_t largest_count) {
  Layout layout;
  layout.classes = static_cast<int>(names.size());
  layout.scale = layout.classes <= 12 ? 2 : 1;
  const int digits = text_width(std::to_string(largest_count), layout.scale);
  layout.counts = layout.classes <= kMostCounted;
  if (layout.counts)
    layout.cell = std::max(digits + 8, layout.classes <= 12 ? 52 : 26);
  else
    layout.cell = layout.classes <= kMostNamed ? 12 : layout.classes <= 600 ? 3 : 1;
  if (layout.classes <= kMostNamed)
    for (const std::string& name : names)
      layout.names = std::max(layout.names, text_width(shortened(name, kLongestName), layout.scale));
  layout.left = kMargin + 2 * kCellHeight + 8 + layout.names + 8;
  layout.top = kMargin + 2 * kCellHeight + 10 + kCellHeight + 14 + 2 * kCellHeight + 8 + layout.names + 8;
  return layout;
}

void draw_names(Picture& picture, const Layout& layout, const std::vector<std::string>& names) {
  const TextStyle across{.color = kInk, .scale = layout.scale};
  const TextStyle up{.color = kInk, .scale = layout.scale, .upward = true};
  const int inset = (layout.cell - 7 * layout.scale) / 2;  // letters are 7 dots high
  for (int i = 0; i < layout.classes; ++i) {
    const std::string name = shortened(names[static_cast<std::size_t>(i)], kLongestName);
    const int start = i * layout.cell + inset;
    picture.text(layout.left - 8 - text_width(name, layout.scale), layout.top + start, name, across);
    picture.text(layout.left + start, layout.top - 8, name, up);
  }
}

void draw_axis_titles(Picture& picture, const Layout& layout) {
  const int middle = layout.side() / 2;
  const int above = layout.top - 8 - layout.names - 8 - 2 * kCellHeight;
  const int half_predicted = text_width("predicted", 2) / 2, half_true = text_width("true", 2) / 2;
  picture.text(std::max(kMargin, layout.left + middle - half_predicted), above, "predicted",
               {.color = kInk, .scale = 2});
  picture.text(kMargin, layout.top + std::max(middle + half_true, text_width("true", 2)), "true",
               {.color = kInk, .scale = 2, .upward = true});
}

void draw_count(Picture& picture, Box cell, std::int64_t count, TextStyle style) {
  const std::string digits = std::to_string(count);
  const int x = cell.x + (cell.width - text_width(digits, style.scale)) / 2;
  picture.text(x, cell.y + (cell.height - 7 * style.scale) / 2, digits, style);
}

void draw_cells(Picture& picture, const Layout& layout, std::span<const std::int64_t> counts) {
  const auto k = static_cast<std::size_t>(layout.classes);
  for (std::size_t i = 0; i < k; ++i) {
    std::int64_t samples = 0;
    for (std::size_t j = 0; j < k; ++j) samples += counts[i * k + j];
    for (std::size_t j = 0; j < k; ++j) {
      const std::int64_t count = counts[i * k + j];
      const Box cell{layout.left + static_cast<int>(j) * layout.cell,
                     layout.top + static_cast<int>(i) * layout.cell, layout.cell, layout.cell};
      const double share = samples ? static_cast<double>(count) / static_cast<double>(samples) : 0;
      const double depth = i == j ? share : std::sqrt(share);
      picture.fill(cell, mix(kWhite, i == j ? kRight : kWrong, depth));
      if (layout.cell >= 8) picture.frame({cell.x, cell.y, cell.width + 1, cell.height + 1}, kRule);
      if (count && layout.counts)
        draw_count(picture, cell, count, {.color = depth > 0.55 ? kWhite : kInk, .scale = layout.scale});
    }
  }
  picture.frame({layout.left - 1, layout.top - 1, layout.side() + 3, layout.side() + 3}, kFaint);
}

std::string headline(std::span<const std::int64_t> counts, std::size_t k) {
  std::int64_t total = 0, right = 0;
  for (const std::int64_t count : counts) total += count;
  for (std::size_t i = 0; i < k; ++i) right += counts[i * k + i];
  if (total == 0) return "no samples";
  return fmt::format("{:.2f}% of {} right", 100 * static_cast<double>(right) / static_cast<double>(total),
                     total);
}

}  // namespace

Picture confusion_picture(const std::vector<std::string>& class_names, std::span<const std::int64_t> counts) {
  const std::size_t k = class_names.size();
  if (k == 0 || k > kMostClasses || counts.size() != k * k)
    throw UsageError(
        fmt::format("a confusion picture takes 1 to {} names and the square of that many counts, found {} "
                    "names and {} counts",
                    kMostClasses, k, counts.size()));
  const Layout layout = layout_of(class_names, *std::max_element(counts.begin(), counts.end()));
  const std::string title = headline(counts, k), legend = "colour: share of the true class's samples";
  const int content =
      std::max({layout.left + layout.side(), kMargin + text_width(title, 2), kMargin + text_width(legend, 1)});
  Picture picture(content + kMargin, layout.top + std::max(layout.side(), text_width("true", 2)) + kMargin);
  picture.text(kMargin, kMargin, title, {.color = kInk, .scale = 2});
  picture.text(kMargin, kMargin + 2 * kCellHeight + 6, legend, {.color = kFaint});
  draw_axis_titles(picture, layout);
  draw_names(picture, layout, layout.names ? class_names : std::vector<std::string>(k));
  draw_cells(picture, layout, counts);
  return picture;
}

}  // namespace convoy
