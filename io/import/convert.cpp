#include "io/import/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "core/tensor/error.h"
#include "io/picture_bytes.h"
#include "io/png.h"
#include "io/resample.h"

namespace convoy {
namespace {

bool begins(std::span<const std::byte> start, std::string_view with, std::size_t at = 0) {
  return start.size() >= at + with.size() && std::memcmp(start.data() + at, with.data(), with.size()) == 0;
}

/// "a JPEG named .png", or empty where the name fits or says nothing.
std::string misnaming(PictureKind kind, const std::filesystem::path& name) {
  std::string ending = name.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool jpeg = ending == ".jpg" || ending == ".jpeg" || ending == ".jpe" || ending == ".jfif";
  if (ending.empty() || (kind == PictureKind::jpeg && jpeg) || (kind == PictureKind::png && ending == ".png")) return {};
  return fmt::format("a {} named {}", name_of(kind), ending);
}

std::string listed(const std::vector<std::string>& reasons) { return fmt::format("{}", fmt::join(reasons, "; ")); }

Tensor copy_of(const JpegDecoder::Pixels& pixels, int channels) {
  Tensor picture(Shape{pixels.box.height, pixels.box.width, channels}, DType::u8);
  const auto row_bytes = static_cast<std::size_t>(pixels.box.width * channels);
  for (std::int64_t y = 0; y < pixels.box.height; ++y)
    std::memcpy(picture.bytes() + static_cast<std::size_t>(y) * row_bytes, pixels.data + y * pixels.row_bytes, row_bytes);
  return picture;
}

}  // namespace

PictureKind kind_of(std::span<const std::byte> start) {
  if (is_jpeg(start)) return PictureKind::jpeg;
  if (begins(start, "\x89PNG\r\n\x1a\n")) return PictureKind::png;
  if (begins(start, "GIF8")) return PictureKind::gif;
  if (begins(start, "BM") && start.size() >= 18 && begins(start, std::string_view("\0\0\0\0", 4), 6)) return PictureKind::bmp;
  if (begins(start, "RIFF") && begins(start, "WEBP", 8)) return PictureKind::webp;
  for (const std::string_view tiff : {std::string_view("II*\0", 4), std::string_view("MM\0*", 4), std::string_view("II+\0", 4),
                                      std::string_view("MM\0+", 4)})
    if (begins(start, tiff)) return PictureKind::tiff;
  return PictureKind::other;
}

const char* name_of(PictureKind kind) {
  switch (kind) {
    case PictureKind::jpeg: return "JPEG";
    case PictureKind::png: return "PNG";
    case PictureKind::gif: return "GIF";
    case PictureKind::bmp: return "BMP";
    case PictureKind::webp: return "WebP";
    case PictureKind::tiff: return "TIFF";
    case PictureKind::other: return "file of another kind";
  }
  return "?";
}

ConvertedPicture PictureConverter::convert(std::span<const std::byte> file, const std::filesystem::path& name) {
  const PictureKind kind = kind_of(file);
  if (file.empty()) throw DataError(fmt::format("{}: an empty file", name.string()));
  if (kind == PictureKind::other) throw DataError(fmt::format("{}: not a picture by its content", name.string()));
  if (kind != PictureKind::jpeg && kind != PictureKind::png)
    throw DataError(fmt::format("{}: a {}; JPEG and PNG are read: convert it", name.string(), name_of(kind)));
  ConvertedPicture picture = kind == PictureKind::jpeg ? convert_jpeg(file, name.string()) : convert_png(file, name.string());
  if (const std::string odd = misnaming(kind, name); !odd.empty())
    picture.why = picture.why.empty() ? odd : odd + "; " + picture.why;
  return picture;
}

ConvertedPicture PictureConverter::convert_jpeg(std::span<const std::byte> file, const std::string& name) {
  const JpegHeader header = jpeg_.open(file, name);
  const int channels = form_.encoding != "raw" ? form_.channels : header.components == 1 ? 1 : 3;
  ConvertedPicture picture;
  picture.pixels = copy_of(jpeg_.decode({0, 0, header.height, header.width}, 1, channels), channels);
  if (const std::string& damage = jpeg_.complaints().damage; !damage.empty())
    throw DataError(fmt::format("{}: the JPEG is damaged or cut: {}", name, damage));
  std::vector<std::string> reasons;
  const int orientation = exif_orientation(file);
  if (orientation != 1) reasons.push_back(fmt::format("turned upright (EXIF orientation {})", orientation));
  if (header.components == 4) reasons.emplace_back("CMYK became RGB");
  picture.pixels = upright(picture.pixels, orientation);
  if (form_.encoding == "png") reasons.emplace_back("JPEG written as PNG");
  if (keep_or_encode(picture, file, !reasons.empty()) && jpeg_.complaints().no_end_marker) {
    picture.bytes.insert(picture.bytes.end(), {std::byte{0xff}, std::byte{0xd9}});
    picture.fate = Fate::converted;
    reasons.emplace_back("the end marker that was missing was added");
  }
  if (const std::string& oddity = jpeg_.complaints().oddity; !oddity.empty()) reasons.push_back("libjpeg: " + oddity);
  picture.why = listed(reasons);
  return picture;
}

ConvertedPicture PictureConverter::convert_png(std::span<const std::byte> file, const std::string& name) {
  const Tensor decoded = decode_png(file, name);
  ConvertedPicture picture;
  std::vector<std::string> reasons;
  picture.pixels = decoded;
  if (form_.encoding != "raw") {
    if (decoded.dtype() == DType::u16) reasons.emplace_back("16 bits became 8");
    if (decoded.shape()[2] % 2 == 0) reasons.emplace_back("transparency laid on white");
    if (form_.encoding == "jpeg") reasons.push_back(fmt::format("PNG written as JPEG of quality {}", form_.quality));
    picture.pixels = as_bytes(decoded, form_.channels);
  }
  keep_or_encode(picture, file, !reasons.empty());
  picture.why = listed(reasons);
  return picture;
}

bool PictureConverter::keep_or_encode(ConvertedPicture& picture, std::span<const std::byte> file, bool changes) const {
  const bool resized = resize(picture);
  if (changes) picture.fate = Fate::converted;
  if (resized || changes) encode(picture);
  if (resized || changes || form_.encoding == "raw") return false;
  picture.bytes.assign(file.begin(), file.end());
  return true;
}

bool PictureConverter::resize(ConvertedPicture& picture) const {
  const std::int64_t height = picture.pixels.shape()[0], width = picture.pixels.shape()[1];
  const std::int64_t shorter = std::min(height, width), wanted = form_.resize_short;
  if (wanted == 0 || shorter <= wanted || picture.pixels.dtype() != DType::u8) return false;
  const auto scaled = [&](std::int64_t extent) { return std::max<std::int64_t>((extent * wanted + shorter / 2) / shorter, 1); };
  const int channels = static_cast<int>(picture.pixels.shape()[2]);
  Tensor small(Shape{scaled(height), scaled(width), channels}, DType::u8);
  Resampler().run({reinterpret_cast<const std::uint8_t*>(picture.pixels.bytes()), width * channels, height, width, channels},
                  {0, 0, static_cast<double>(height), static_cast<double>(width)},
                  reinterpret_cast<std::uint8_t*>(small.bytes()), small.shape()[0], small.shape()[1]);
  picture.pixels = small;
  return true;
}

void PictureConverter::encode(ConvertedPicture& picture) const {
  if (form_.encoding == "jpeg") picture.bytes = encode_jpeg(picture.pixels, form_.quality);
  if (form_.encoding == "png") picture.bytes = encode_png(picture.pixels);
}

}  // namespace convoy
