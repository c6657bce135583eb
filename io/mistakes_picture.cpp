#include "io/mistakes_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/tensor/error.h"
#include "io/font.h"

namespace convoy {
namespace {

constexpr Color kInk{40, 40, 40}, kTruth{33, 102, 172}, kWrong{202, 44, 38}, kRule{200, 200, 200},
    kPaper{244, 244, 244};
constexpr int kMargin = 16, kGap = 16, kImage = 168, kLine = kCellHeight + 4, kMostShown = 400,
              kMostInLine = 100;
constexpr int kCellSide = kImage, kCaption = 2 * kLine + 6;

// The largest box of the image's proportions within kImage x kImage; whole multiples of small images' pixels.
Box fitted(const Tensor& image, int left, int top) {
  const Shape& shape = image.shape();
  const int first = shape.rank() == 4 ? 1 : 0;
  if (shape.rank() < 2 || shape.elements() == 0) return {left, top, kImage, kImage};  // blit says what is wrong
  const auto h = static_cast<double>(shape[first]), w = static_cast<double>(shape[first + 1]);
  double scale = kImage / std::max(h, w);
  if (scale >= 1) scale = std::floor(scale);
  const int width = std::clamp(static_cast<int>(std::lround(w * scale)), 1, kImage);
  const int height = std::clamp(static_cast<int>(std::lround(h * scale)), 1, kImage);
  return {left + (kImage - width) / 2, top + (kImage - height) / 2, width, height};
}

// "label: name", the name cut so that the line and its end fit under the image.
void draw_caption(Picture& picture, int x, int y, std::string_view label, std::string_view name,
                  std::string_view end, Color color) {
  const int room = kCellSide / kCellWidth - static_cast<int>(label.size() + end.size());
  picture.text(x, y, label, {.color = kInk});
  picture.text(x + static_cast<int>(label.size()) * kCellWidth, y, shortened(name, room) + std::string(end),
               {.color = color});
}

void draw_sample(Picture& picture, const MistakenSample& sample, int x, int y) {
  const Box box{x, y, kImage, kImage};
  picture.fill(box, kPaper);
  picture.blit(sample.image, fitted(sample.image, x, y));
  picture.frame({x - 1, y - 1, kImage + 2, kImage + 2}, kRule);
  draw_caption(picture, x, y + kImage + 6, "true: ", sample.truth, "", kTruth);
  draw_caption(picture, x, y + kImage + 6 + kLine, "predicted: ", sample.predicted,
               fmt::format("  {:.0f}%", 100 * sample.probability), kWrong);
}

}  // namespace

Picture mistakes_picture(std::span<const MistakenSample> samples, int columns) {
  if (columns < 1)
    throw UsageError(fmt::format("a picture of mistakes needs at least 1 column, found {}", columns));
  if (samples.empty()) {
    Picture picture(2 * kMargin + text_width("no mistakes", 2), 2 * kMargin + 2 * kCellHeight);
    picture.text(kMargin, kMargin, "no mistakes", {.color = kInk, .scale = 2});
    return picture;
  }
  const int all = static_cast<int>(std::min<std::size_t>(samples.size(), kMostShown));
  const int across = std::min({columns, all, kMostInLine}), shown = std::min(all, across * kMostInLine);
  const int down = (shown + across - 1) / across;
  const int step_x = kCellSide + kGap, step_y = kImage + kCaption + kGap;
  Picture picture(2 * kMargin + across * step_x - kGap, 2 * kMargin + down * step_y - kGap);
  for (int i = 0; i < shown; ++i)
    draw_sample(picture, samples[static_cast<std::size_t>(i)], kMargin + i % across * step_x,
                kMargin + i / across * step_y);
  return picture;
}

}  // namespace convoy
