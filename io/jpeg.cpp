#include "io/jpeg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/tensor/error.h"
#include "io/jpeg_errors.h"

namespace convoy {
namespace {

/// A progressive file may hold any number of scans, each as dear as a picture: a few kilobytes could take hours.
constexpr int kMostScans = 500;

void on_progress(j_common_ptr info) {
  if (!info->is_decompressor || reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  JpegErrors& manager = jpeg_errors_of(info);
  std::snprintf(manager.words, sizeof manager.words, "more than %d scans", kMostScans);
  std::longjmp(manager.jump, 1);
}

constexpr std::uint8_t scaled_product(int a, int b) { return static_cast<std::uint8_t>((a * b + 127) / 255); }

/// Rows of CMYK to RGB in place; `inverted`: 255 means no ink.
void flatten_cmyk(std::uint8_t* row, std::int64_t width, bool inverted) {
  for (std::int64_t x = 0; x < width; ++x) {
    std::uint8_t paint[4];
    for (int c = 0; c < 4; ++c)
      paint[c] = inverted ? row[4 * x + c] : static_cast<std::uint8_t>(255 - row[4 * x + c]);
    for (int c = 0; c < 3; ++c) row[3 * x + c] = scaled_product(paint[c], paint[3]);
  }
}

/// ITU-R BT.601's luminance, as JPEG's own.
void flatten_rgb(std::uint8_t* row, std::int64_t width) {
  for (std::int64_t x = 0; x < width; ++x)
    row[x] = static_cast<std::uint8_t>((19595 * row[3 * x] + 38470 * row[3 * x + 1] + 7471 * row[3 * x + 2] + 32768) >> 16);
}

}  // namespace

struct JpegDecoder::State {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  jpeg_progress_mgr progress{};
  std::string name;
  Complaints complaints;
  std::vector<std::uint8_t> pixels;

  [[noreturn]] void complain(const std::string& what) const { throw DataError(fmt::format("{}: {}", name, what)); }

  bool create() {
    if (setjmp(errors.jump)) return false;
    jpeg_create_decompress(&info);
    return true;
  }
  bool read_header(const unsigned char* data, unsigned long size) {
    if (setjmp(errors.jump)) return false;
    jpeg_abort_decompress(&info);
    jpeg_mem_src(&info, data, size);
    jpeg_read_header(&info, TRUE);
    return true;
  }
  bool start(int scale, int channels) {
    if (setjmp(errors.jump)) return false;
    info.scale_num = 1;
    info.scale_denom = static_cast<unsigned>(scale);
    info.dct_method = JDCT_ISLOW;  // its SIMD forms have the same bits as the plain one
    const bool ink = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
    info.out_color_space = ink ? JCS_CMYK : channels == 1 && info.jpeg_color_space != JCS_RGB ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&info);
    return true;
  }
  bool choose_columns(JDIMENSION& left, JDIMENSION& width) {
    if (setjmp(errors.jump)) return false;
    if (left != 0 || width != info.output_width) jpeg_crop_scanline(&info, &left, &width);
    return true;
  }
  bool read_rows(JDIMENSION top, JDIMENSION rows, std::int64_t row_bytes) {
    if (setjmp(errors.jump)) return false;
    if (top > 0) jpeg_skip_scanlines(&info, top);
    for (JDIMENSION y = 0; y < rows;) {
      JSAMPROW row = pixels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(row_bytes);
      y += jpeg_read_scanlines(&info, &row, 1);
    }
    // To the end marker, so that a whole picture is told from one that is cut; of a part, the rest does not matter.
    if (top + rows == info.output_height) jpeg_finish_decompress(&info);
    return true;
  }
};

JpegDecoder::JpegDecoder() : state_(std::make_unique<State>()) {
  state_->info.err = connect(state_->errors);
  if (!state_->create()) throw LibraryError(fmt::format("libjpeg cannot start: {}", state_->errors.words));
  state_->progress.progress_monitor = on_progress;
  state_->info.progress = &state_->progress;
}

JpegDecoder::~JpegDecoder() {
  if (state_) jpeg_destroy_decompress(&state_->info);
}

JpegHeader JpegDecoder::open(std::span<const std::byte> file, const std::string& name, const JpegLimits& limits) {
  State& s = *state_;
  s.name = name;
  s.complaints = {};
  s.errors.damage[0] = s.errors.oddity[0] = '\0';
  s.errors.no_end_marker = false;
  if (file.empty()) s.complain("the file is empty, expected a JPEG");
  if (!is_jpeg(file)) s.complain("not a JPEG: it does not start with JPEG's marker");
  if (!s.read_header(reinterpret_cast<const unsigned char*>(file.data()), static_cast<unsigned long>(file.size())))
    s.complain(fmt::format("the JPEG is damaged: {}", s.errors.words));
  const JpegHeader header{s.info.image_height, s.info.image_width, s.info.num_components};
  if (header.height * header.width > limits.pixels)
    s.complain(fmt::format("a JPEG of {} x {} pixels; at most {} are read: scale it down or leave it out", header.width,
                           header.height, limits.pixels));
  if (header.components != 1 && header.components != 3 && header.components != 4)
    s.complain(fmt::format("a JPEG of {} components; expected 1 (gray), 3 (colour) or 4 (CMYK)", header.components));
  return header;
}

JpegDecoder::Pixels JpegDecoder::decode(PixelBox wanted, int scale, int channels) {
  State& s = *state_;
  if ((channels != 1 && channels != 3) || (scale != 1 && scale != 2 && scale != 4 && scale != 8))
    throw Error(fmt::format("a JPEG in {} channels at 1/{}", channels, scale));
  const auto give_up = [&] { s.complain(fmt::format("the JPEG is damaged: {}", s.errors.words)); };
  if (!s.start(scale, channels)) give_up();
  const std::int64_t height = s.info.output_height, width = s.info.output_width;
  if (wanted.top < 0 || wanted.left < 0 || wanted.height < 1 || wanted.width < 1 || wanted.top + wanted.height > height ||
      wanted.left + wanted.width > width)
    throw Error(fmt::format("{}: rows {} to {}, columns {} to {} of a picture of {} x {}", s.name, wanted.top,
                            wanted.top + wanted.height, wanted.left, wanted.left + wanted.width, width, height));
  auto left = static_cast<JDIMENSION>(wanted.left), columns = static_cast<JDIMENSION>(wanted.width);
  if (!s.choose_columns(left, columns)) give_up();
  const int decoded = s.info.out_color_components;
  const std::int64_t row_bytes = std::int64_t{columns} * decoded;
  s.pixels.resize(static_cast<std::size_t>(row_bytes * wanted.height));
  if (!s.read_rows(static_cast<JDIMENSION>(wanted.top), static_cast<JDIMENSION>(wanted.height), row_bytes)) give_up();
  s.complaints.no_end_marker = s.errors.no_end_marker;
  s.complaints.damage = s.errors.damage;
  s.complaints.oddity = s.errors.oddity;
  for (std::int64_t y = 0; y < wanted.height && decoded > channels; ++y) {
    std::uint8_t* row = s.pixels.data() + y * row_bytes;
    if (decoded == 4) flatten_cmyk(row, columns, s.info.saw_Adobe_marker);
    if (channels == 1) flatten_rgb(row, columns);
  }
  return {s.pixels.data(), row_bytes, {wanted.top, left, wanted.height, columns}};
}

const JpegDecoder::Complaints& JpegDecoder::complaints() const { return state_->complaints; }

Tensor decode_jpeg(std::span<const std::byte> file, const std::string& name, int channels, const JpegLimits& limits) {
  JpegDecoder decoder;
  const JpegHeader header = decoder.open(file, name, limits);
  const auto pixels = decoder.decode({0, 0, header.height, header.width}, 1, channels);
  Tensor picture(Shape{header.height, header.width, channels}, DType::u8);
  const std::size_t row_bytes = static_cast<std::size_t>(header.width * channels);
  for (std::int64_t y = 0; y < header.height; ++y)
    std::memcpy(picture.bytes() + static_cast<std::size_t>(y) * row_bytes, pixels.data + y * pixels.row_bytes, row_bytes);
  return picture;
}

}  // namespace convoy
