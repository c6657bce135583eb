#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/tensor/error.h"
#include "io/jpeg.h"
#include "io/jpeg_errors.h"

namespace convoy {
namespace {

struct Encoder {
  jpeg_compress_struct info{};
  JpegErrors errors{};
  unsigned char* out = nullptr;  // libjpeg's, from malloc
  unsigned long size = 0;

  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() {
    jpeg_destroy_compress(&info);
    std::free(out);
  }

  bool run(const unsigned char* pixels, int height, int width, int channels, int quality) {
    if (setjmp(errors.jump)) return false;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &out, &size);
    info.image_height = static_cast<JDIMENSION>(height);
    info.image_width = static_cast<JDIMENSION>(width);
    info.input_components = channels;
    info.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    if (channels == 3 && quality >= 90) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&info, TRUE);
    for (int y = 0; y < height; ++y) {
      JSAMPROW row = const_cast<JSAMPROW>(pixels) + static_cast<std::size_t>(y) * static_cast<std::size_t>(width * channels);
      jpeg_write_scanlines(&info, &row, 1);  // reads only
    }
    jpeg_finish_compress(&info);
    return true;
  }
};

}  // namespace

std::vector<std::byte> encode_jpeg(const Tensor& picture, int quality) {
  const Shape& shape = picture.shape();
  if (shape.rank() != 3 || (shape[2] != 1 && shape[2] != 3) || picture.dtype() != DType::u8 || shape.elements() == 0 ||
      std::max(shape[0], shape[1]) > JPEG_MAX_DIMENSION)
    throw UsageError(fmt::format("a picture to be written as JPEG must be uint8 [h, w, 1] or [h, w, 3], at most {} pixels a "
                                 "side, found {} {}",
                                 JPEG_MAX_DIMENSION, name_of(picture.dtype()), shape.str()));
  Encoder encoder;
  encoder.info.err = connect(encoder.errors);
  if (!encoder.run(reinterpret_cast<const unsigned char*>(picture.bytes()), static_cast<int>(shape[0]),
                   static_cast<int>(shape[1]), static_cast<int>(shape[2]), quality))
    throw LibraryError(fmt::format("libjpeg cannot write a picture {}: {}", shape.str(), encoder.errors.words));
  const auto* first = reinterpret_cast<const std::byte*>(encoder.out);
  return {first, first + encoder.size};
}

}  // namespace convoy
