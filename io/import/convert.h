#pragma once
// One picture of an import: looked at, decoded to check it, and brought to the form in which it is stored. Private to
// io/import.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "io/import/report_part.h"
#include "io/jpeg.h"

namespace convoy {

/// Told by the first bytes.
enum class PictureKind { jpeg, png, gif, bmp, webp, tiff, other };
PictureKind kind_of(std::span<const std::byte> start);
/// "JPEG", "PNG", ...
const char* name_of(PictureKind kind);

/// How an import stores pictures.
struct StoredForm {
  std::string encoding;             // "jpeg", "png"; "raw": pixels
  int channels = 3;                 // of jpeg and png, once decoded: 1 or 3
  std::int64_t resize_short = 0;    // the shorter side is brought to so many pixels where it is longer; 0: as it is
  int quality = 95;                 // of JPEG that is written
};

struct ConvertedPicture {
  std::vector<std::byte> bytes;     // as stored; empty for raw
  Tensor pixels;                    // as decoded: [h, w, c]; raw: also uint16 and other channel counts
  Fate fate = Fate::kept;
  std::string why;                  // empty: as it came
};

/// Converts one file after the other; one thread.
class PictureConverter {
 public:
  explicit PictureConverter(StoredForm form) : form_(std::move(form)) {}
  /// `name` is for messages. Throws DataError: no picture, damaged or cut, too large.
  ConvertedPicture convert(std::span<const std::byte> file, const std::filesystem::path& name);

 private:
  ConvertedPicture convert_jpeg(std::span<const std::byte> file, const std::string& name);
  ConvertedPicture convert_png(std::span<const std::byte> file, const std::string& name);
  void encode(ConvertedPicture& picture) const;
  /// Encodes what was resized or `changes`; of all else keeps the bytes of the file, if bytes are kept, and returns true.
  bool keep_or_encode(ConvertedPicture& picture, std::span<const std::byte> file, bool changes) const;
  bool resize(ConvertedPicture& picture) const;

  StoredForm form_;
  JpegDecoder jpeg_;
};

}  // namespace convoy
