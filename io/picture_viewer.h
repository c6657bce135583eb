#pragma once
// Views of pictures, decoded and brought to the extents of samples.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "io/dataset.h"
#include "io/jpeg.h"
#include "io/resample.h"

namespace convoy {

struct PictureExtents {
  std::int64_t height = 0, width = 0;
};

/// A view and what it is brought to.
struct PicturePart {
  PictureView view;
  std::int64_t height = 0, width = 0;
  std::byte* image = nullptr;          // [height, width, channels] uint8
};

/// Decodes one picture after the other; keeps its memory in between. One thread at a time.
class PictureViewer {
 public:
  /// Images of size[0] x size[1] x channels, uint8. `channels` of encoded pictures: 1 or 3.
  PictureViewer(const std::int64_t size[2], int channels) : size_{size[0], size[1]}, channels_(channels) {}

  /// One view. A JPEG or PNG, told by its content. Of a JPEG only the view is decoded, at 1/2, 1/4 or 1/8 where that still has
  /// more pixels than the image. Throws DataError naming `name`.
  void show(std::span<const std::byte> file, const std::string& name, const ChooseView& choose, std::byte* image);
  /// The same from a file, turned upright where EXIF says so.
  void show(const std::filesystem::path& file, const ChooseView& choose, std::byte* image);

  /// Any number of views: open() a picture, which must stay, then show() parts of it, once. A JPEG is decoded once for all of
  /// them, at a scale that suffices for each. Both throw DataError naming `name`.
  PictureExtents open(std::span<const std::byte> file, const std::string& name);
  PictureExtents open(const PixelRows& rows);
  void show(std::span<const PicturePart> parts);

 private:
  void show(const PictureExtents& extents, const ChooseView& choose, std::byte* image);
  void show_jpeg(std::span<const PicturePart> parts);

  std::int64_t size_[2];
  int channels_;
  JpegDecoder jpeg_;
  Resampler resampler_;
  bool is_jpeg_ = false;         // the opened picture; its extents, or else its pixels
  PictureExtents extents_;
  Tensor decoded_;
  PixelRows rows_;
};

}  // namespace convoy
