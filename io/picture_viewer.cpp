#include "io/picture_viewer.h"

#include <algorithm>
#include <cmath>

#include "io/files.h"
#include "io/picture_bytes.h"
#include "io/png.h"

namespace convoy {
namespace {

/// The part of an axis of `extent` pixels that a filter reads around [begin, begin + length): first and count.
std::pair<std::int64_t, std::int64_t> pixels_around(double begin, double length, double reach, std::int64_t extent) {
  constexpr double kMore = 2;  // pixels at the edges of a part differ: libjpeg's upsampling looks at neighbours
  const auto first = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(begin - reach - kMore)), 0, extent - 1);
  const auto last = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(begin + length + reach + kMore)), first + 1, extent);
  return {first, last - first};
}

}  // namespace

PictureView centre_view(std::int64_t height, std::int64_t width, const std::int64_t size[2], std::int64_t resize_short) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  const auto rows = static_cast<double>(size[0]), columns = static_cast<double>(size[1]);
  const double scale = resize_short > 0 ? std::min(h, w) / static_cast<double>(resize_short) : std::min(h / rows, w / columns);
  const double view_height = std::min(rows * scale, h), view_width = std::min(columns * scale, w);
  return {(h - view_height) / 2, (w - view_width) / 2, view_height, view_width};
}

void PictureViewer::show(std::span<const std::byte> file, const std::string& name, const ChooseView& choose, std::byte* image) {
  if (is_jpeg(file)) return show_jpeg(file, name, choose, image);
  show_decoded(as_bytes(decode_png(file, name), channels_), choose, image);
}

void PictureViewer::show(const std::filesystem::path& file, const ChooseView& choose, std::byte* image) {
  const std::vector<std::byte> bytes = read_whole(file);
  const int orientation = is_jpeg(bytes) ? exif_orientation(bytes) : 1;
  if (orientation == 1) return show(bytes, file.string(), choose, image);
  show_decoded(upright(decode_jpeg(bytes, file.string(), channels_), orientation), choose, image);
}

void PictureViewer::show_decoded(const Tensor& picture, const ChooseView& choose, std::byte* image) {
  const Shape& shape = picture.shape();
  show_pixels({reinterpret_cast<const std::uint8_t*>(picture.bytes()), shape[1] * channels_, shape[0], shape[1], channels_}, choose, image);
}

void PictureViewer::show_pixels(const PixelRows& rows, const ChooseView& choose, std::byte* image) {
  resampler_.run(rows, choose(rows.height, rows.width), reinterpret_cast<std::uint8_t*>(image), size_[0], size_[1]);
}

void PictureViewer::show_jpeg(std::span<const std::byte> file, const std::string& name, const ChooseView& choose, std::byte* image) {
  const JpegHeader header = jpeg_.open(file, name);
  PictureView view = choose(header.height, header.width);
  int scale = 1;
  while (scale < 8 && view.height >= static_cast<double>(2 * scale * size_[0]) && view.width >= static_cast<double>(2 * scale * size_[1]))
    scale *= 2;
  for (double* edge : {&view.top, &view.left, &view.height, &view.width}) *edge /= scale;
  const auto [top, height] = pixels_around(view.top, view.height, filter_reach(view.height, size_[0]), (header.height + scale - 1) / scale);
  const auto [left, width] = pixels_around(view.left, view.width, filter_reach(view.width, size_[1]), (header.width + scale - 1) / scale);
  const auto pixels = jpeg_.decode({top, left, height, width}, scale, channels_);
  view.top -= static_cast<double>(pixels.box.top);
  view.left -= static_cast<double>(pixels.box.left);
  resampler_.run({pixels.data, pixels.row_bytes, pixels.box.height, pixels.box.width, channels_}, view,
                 reinterpret_cast<std::uint8_t*>(image), size_[0], size_[1]);
}

}  // namespace convoy
