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

/// Decodes one picture after the other; keeps its memory in between. One thread at a time.
class PictureViewer {
 public:
  /// Images of size[0] x size[1] x channels, uint8. `channels` of encoded pictures: 1 or 3.
  PictureViewer(const std::int64_t size[2], int channels) : size_{size[0], size[1]}, channels_(channels) {}

  /// A JPEG or PNG, told by its content. Of a JPEG only the view is decoded, at 1/2, 1/4 or 1/8 where that still has more
  /// pixels than the image. Throws DataError naming `name`.
  void show(std::span<const std::byte> file, const std::string& name, const ChooseView& choose, std::byte* image);
  /// The same from a file, turned upright where EXIF says so.
  void show(const std::filesystem::path& file, const ChooseView& choose, std::byte* image);
  void show_pixels(const PixelRows& rows, const ChooseView& choose, std::byte* image);

 private:
  void show_jpeg(std::span<const std::byte> file, const std::string& name, const ChooseView& choose, std::byte* image);
  void show_decoded(const Tensor& picture, const ChooseView& choose, std::byte* image);

  std::int64_t size_[2];
  int channels_;
  JpegDecoder jpeg_;
  Resampler resampler_;
};

}  // namespace convoy
