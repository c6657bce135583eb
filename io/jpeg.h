#pragma once
// JPEG files (ITU-T T.81) through libjpeg-turbo: whole, or only a rectangle of them, at full size or a half, a quarter, an
// eighth of it (the inverse DCT then computes fewer samples).
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "io/view.h"

namespace convoy {

/// What a file may ask for before it is refused: a small file can claim a huge picture.
struct JpegLimits {
  std::int64_t pixels = std::int64_t{64} << 20;
};

struct JpegHeader {
  std::int64_t height = 0, width = 0;
  int components = 0;  // 1 gray; 3 colour; 4 CMYK or YCCK
};

/// Decodes one file after the other and keeps its memory in between. One thread at a time.
class JpegDecoder {
 public:
  /// Pixels of the last decode(); they stay until the next one.
  struct Pixels {
    const std::uint8_t* data = nullptr;  // [box.height, box.width, channels], rows `row_bytes` apart
    std::int64_t row_bytes = 0;
    PixelBox box;                        // in the picture as scaled: at least what was asked for
  };
  /// What libjpeg complained of during the last decode() without giving up; it fills with gray what is missing.
  struct Complaints {
    std::string damage;                  // parts of the picture are wrong or missing; empty: none
    std::string oddity;                  // bytes that belong to nothing, as some cameras leave them; empty: none
    bool no_end_marker = false;          // the file ends without one; by itself no damage to the picture
  };

  /// Throws LibraryError if libjpeg cannot start.
  JpegDecoder();
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// Reads the header. `file` must stay until decode() is done. Throws DataError naming `name` for what is no JPEG, has no
  /// picture, or more pixels than the limit.
  JpegHeader open(std::span<const std::byte> file, const std::string& name, const JpegLimits& limits = {});
  /// Decodes the opened file at 1/`scale` (1, 2, 4 or 8; ceil(extent / scale) pixels), of which at least `wanted`.
  /// `channels`: 1 (luminance) or 3 (RGB). CMYK becomes RGB without a colour profile, inverted where Adobe's
  /// marker says so. Pixels are those of the whole picture, but for two along the edges of a part, where libjpeg's upsampling
  /// would look beyond. The same request always gives the same pixels. Throws DataError.
  Pixels decode(PixelBox wanted, int scale, int channels);
  const Complaints& complaints() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether the bytes begin as a JPEG does.
bool is_jpeg(std::span<const std::byte> file);
/// EXIF's orientation (tag 0x0112; CIPA DC-008, section 4.6.4): 1 to 8, and 1 where there is none.
int exif_orientation(std::span<const std::byte> file);

/// The whole picture, [h, w, 1] or [h, w, 3] uint8. Damage that libjpeg can live with is tolerated.
Tensor decode_jpeg(std::span<const std::byte> file, const std::string& name, int channels, const JpegLimits& limits = {});
/// [h, w, 1] or [h, w, 3] uint8 as a baseline JPEG, 4:2:0 below quality 90, else 4:4:4. The same bytes for the same pixels.
std::vector<std::byte> encode_jpeg(const Tensor& picture, int quality);

}  // namespace convoy
