#include "io/jpeg.h"

#include <fmt/format.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>
// jerror.h: after jpeglib.h
#include <jerror.h>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// libjpeg reports errors by calling error_exit, which must not return: it jumps. A jump must not pass over an object with a
// destructor, so every function that calls setjmp here holds only plain values.
struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands out a pointer to it
  std::jmp_buf jump;
  char words[JMSG_LENGTH_MAX] = "";
  char damage[JMSG_LENGTH_MAX] = "";
  bool no_end_marker = false;
};

ErrorManager& manager_of(j_common_ptr info) { return *reinterpret_cast<ErrorManager*>(info->err); }

[[noreturn]] void on_error(j_common_ptr info) {
  ErrorManager& manager = manager_of(info);
  (*info->err->format_message)(info, manager.words);
  std::longjmp(manager.jump, 1);
}

/// Warnings that say that pixels are wrong. The others tell of oddities beside the picture.
bool is_damage(int code) {
  return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC ||
         code == JWRN_NOT_SEQUENTIAL || code == JWRN_BOGUS_PROGRESSION || code == JWRN_EXTRANEOUS_DATA;
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // traces
  ErrorManager& manager = manager_of(info);
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF) manager.no_end_marker = true;
  if (is_damage(code) && manager.damage[0] == '\0') (*info->err->format_message)(info, manager.damage);
}

void print_nothing(j_common_ptr) {}

void connect(ErrorManager& manager) {
  jpeg_std_error(&manager.base);
  manager.base.error_exit = on_error;
  manager.base.emit_message = on_message;
  manager.base.output_message = print_nothing;
}

/// A progressive file may hold any number of scans, each as dear as a picture: a few kilobytes could take hours.
constexpr int kMostScans = 500;

void on_progress(j_common_ptr info) {
  if (!info->is_decompressor || reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  ErrorManager& manager = manager_of(info);
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

std::span<const std::uint8_t> as_words(std::span<const std::byte> file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

}  // namespace

struct JpegDecoder::State {
  jpeg_decompress_struct info{};
  ErrorManager errors{};
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
  connect(state_->errors);
  state_->info.err = &state_->errors.base;
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
  s.errors.damage[0] = '\0';
  s.errors.no_end_marker = false;
  if (file.empty()) s.complain("the file is empty, expected a JPEG");
  if (!is_jpeg(file)) s.complain("not a JPEG: it does not start with JPEG's marker");
  if (!s.read_header(as_words(file).data(), static_cast<unsigned long>(file.size())))
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
  for (std::int64_t y = 0; y < wanted.height && decoded > channels; ++y) {
    std::uint8_t* row = s.pixels.data() + y * row_bytes;
    if (decoded == 4) flatten_cmyk(row, columns, s.info.saw_Adobe_marker);
    if (channels == 1) flatten_rgb(row, columns);
  }
  return {s.pixels.data(), row_bytes, {wanted.top, left, wanted.height, columns}};
}

const JpegDecoder::Complaints& JpegDecoder::complaints() const { return state_->complaints; }

bool is_jpeg(std::span<const std::byte> file) {
  const auto words = as_words(file);
  return words.size() >= 3 && words[0] == 0xff && words[1] == 0xd8 && words[2] == 0xff;
}

namespace {

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

namespace {

struct Encoder {
  jpeg_compress_struct info{};
  ErrorManager errors{};
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
  connect(encoder.errors);
  encoder.info.err = &encoder.errors.base;
  if (!encoder.run(reinterpret_cast<const unsigned char*>(picture.bytes()), static_cast<int>(shape[0]),
                   static_cast<int>(shape[1]), static_cast<int>(shape[2]), quality))
    throw LibraryError(fmt::format("libjpeg cannot write a picture {}: {}", shape.str(), encoder.errors.words));
  const auto* first = reinterpret_cast<const std::byte*>(encoder.out);
  return {first, first + encoder.size};
}

}  // namespace convoy
