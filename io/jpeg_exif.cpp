// What is told by the bytes of a JPEG without decoding it.
#include <algorithm>
#include <string_view>

#include "io/jpeg.h"

namespace convoy {
namespace {

std::span<const std::uint8_t> as_words(std::span<const std::byte> file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

/// The tag in TIFF's first directory (TIFF 6.0, section 2), which is what EXIF holds behind its six letters.
int orientation_in(std::span<const std::uint8_t> tiff) {
  if (tiff.size() < 8 || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
  const bool little = tiff[0] == 'I';
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value |= std::uint32_t{tiff[at + i]} << 8 * (little ? i : bytes - 1 - i);
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0, at = directory + 2; i < entries && at + 12 <= tiff.size(); ++i, at += 12)
    if (number(at, 2) == 0x0112 && number(at + 2, 2) == 3) {
      const auto value = static_cast<int>(number(at + 8, 2));
      return value >= 1 && value <= 8 ? value : 1;
    }
  return 1;
}

}  // namespace

bool is_jpeg(std::span<const std::byte> file) {
  const auto words = as_words(file);
  return words.size() >= 3 && words[0] == 0xff && words[1] == 0xd8 && words[2] == 0xff;
}

int exif_orientation(std::span<const std::byte> file) {
  const auto words = as_words(file);
  constexpr std::string_view kExif("Exif\0\0", 6);
  // Segments from the start marker on: 0xff, kind, length of two bytes that counts itself. The scan ends the search.
  for (std::size_t at = 2; at + 4 <= words.size() && words[at] == 0xff && words[at + 1] != 0xda;) {
    if (words[at + 1] == 0xff) {
      ++at;  // fill byte
      continue;
    }
    const std::size_t length = std::size_t{words[at + 2]} << 8 | words[at + 3];
    if (length < 2 || at + 2 + length > words.size()) break;
    const auto segment = words.subspan(at + 4, length - 2);
    if (words[at + 1] == 0xe1 && segment.size() > kExif.size() && std::equal(kExif.begin(), kExif.end(), segment.begin()))
      return orientation_in(segment.subspan(kExif.size()));
    at += 2 + length;
  }
  return 1;
}

}  // namespace convoy
