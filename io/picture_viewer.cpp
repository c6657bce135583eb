#include "io/picture_viewer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "io/files.h"
#include "io/picture_bytes.h"
#include "io/png.h"

namespace convoy {
namespace {

/// Pixels [first, last) of an axis.
struct Range {
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
  void add(const Range& other) {
    first = std::min(first, other.first);
    last = std::max(last, other.last);
  }
};

/// The part of an axis of `extent` pixels that a filter reads around [begin, begin + length).
Range pixels_around(double begin, double length, double reach, std::int64_t extent) {
  constexpr double kMore = 2;  // pixels at the edges of a part differ: libjpeg's upsampling looks at neighbours
  const auto first = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(begin - reach - kMore)), 0, extent - 1);
  const auto last = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(begin + length + reach + kMore)), first + 1, extent);
  return {first, last};
}

/// The greatest at which libjpeg decodes no fewer pixels than the part is brought to.
int scale_for(const PicturePart& part) {
  int scale = 1;
  while (scale < 8 && part.view.height >= static_cast<double>(2 * scale * part.height) &&
         part.view.width >= static_cast<double>(2 * scale * part.width))
    scale *= 2;
  return scale;
}

PictureView scaled(const PictureView& view, int scale) {
  return {view.top / scale, view.left / scale, view.height / scale, view.width / scale};
}

PixelRows rows_of(const Tensor& picture) {
  const Shape& shape = picture.shape();
  return {reinterpret_cast<const std::uint8_t*>(picture.bytes()), shape[1] * shape[2], shape[0], shape[1], static_cast<int>(shape[2])};
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
  show(open(file, name), choose, image);
}

void PictureViewer::show(const std::filesystem::path& file, const ChooseView& choose, std::byte* image) {
  const std::vector<std::byte> bytes = read_whole(file);
  const int orientation = is_jpeg(bytes) ? exif_orientation(bytes) : 1;
  if (orientation == 1) return show(bytes, file.string(), choose, image);
  decoded_ = upright(decode_jpeg(bytes, file.string(), channels_), orientation);
  show(open(rows_of(decoded_)), choose, image);
}

void PictureViewer::show(const PictureExtents& extents, const ChooseView& choose, std::byte* image) {
  const PicturePart part{choose(extents.height, extents.width), size_[0], size_[1], image};
  show({&part, 1});
}

PictureExtents PictureViewer::open(std::span<const std::byte> file, const std::string& name) {
  is_jpeg_ = is_jpeg(file);
  if (!is_jpeg_) {
    decoded_ = {};  // before the next one takes memory
    decoded_ = as_bytes(decode_png(file, name), channels_);
    return open(rows_of(decoded_));
  }
  const JpegHeader header = jpeg_.open(file, name);
  return extents_ = {header.height, header.width};
}

PictureExtents PictureViewer::open(const PixelRows& rows) {
  is_jpeg_ = false;
  rows_ = rows;
  return {rows.height, rows.width};
}

void PictureViewer::show(std::span<const PicturePart> parts) {
  if (is_jpeg_) return show_jpeg(parts);
  for (const PicturePart& part : parts)
    resampler_.run(rows_, part.view, reinterpret_cast<std::uint8_t*>(part.image), part.height, part.width);
}

void PictureViewer::show_jpeg(std::span<const PicturePart> parts) {
  int scale = 8;
  for (const PicturePart& part : parts) scale = std::min(scale, scale_for(part));
  Range rows, columns;
  for (const PicturePart& part : parts) {
    const PictureView view = scaled(part.view, scale);
    rows.add(pixels_around(view.top, view.height, filter_reach(view.height, part.height), (extents_.height + scale - 1) / scale));
    columns.add(pixels_around(view.left, view.width, filter_reach(view.width, part.width), (extents_.width + scale - 1) / scale));
  }
  const auto pixels = jpeg_.decode({rows.first, columns.first, rows.last - rows.first, columns.last - columns.first}, scale, channels_);
  for (const PicturePart& part : parts) {
    PictureView view = scaled(part.view, scale);
    view.top -= static_cast<double>(pixels.box.top);
    view.left -= static_cast<double>(pixels.box.left);
    resampler_.run({pixels.data, pixels.row_bytes, pixels.box.height, pixels.box.width, channels_}, view,
                   reinterpret_cast<std::uint8_t*>(part.image), part.height, part.width);
  }
}

}  // namespace convoy
