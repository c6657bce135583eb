#include "io/png.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <system_error>
#include <vector>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// libpng reports errors by longjmp, which must not pass over an object with a destructor. So every function
// that calls setjmp here holds only plain values, returns false after an error, and works on a struct that its
// caller owns.
constexpr std::size_t kWordsSize = 200;

struct Reader {
  std::span<const std::byte> file;
  std::size_t position = 0;
  png_structp png = nullptr;
  png_infop info = nullptr;
  char words[kWordsSize] = "";  // libpng's reason
  png_uint_32 width = 0, height = 0;
  int bits = 0, channels = 0;  // as decoded
  png_bytepp rows = nullptr;

  Reader() = default;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  std::snprintf(static_cast<char*>(png_get_error_ptr(png)), kWordsSize, "%s", message);
  png_longjmp(png, 1);
}

// Warnings tell of oddities in chunks that do not change the pixels.
void on_warning(png_structp, png_const_charp) {}

void feed(png_structp png, png_bytep to, std::size_t size) {
  auto& reader = *static_cast<Reader*>(png_get_io_ptr(png));
  if (reader.file.size() - reader.position < size) png_error(png, "the file ends too early");
  std::memcpy(to, reader.file.data() + reader.position, size);
  reader.position += size;
}

bool read_header(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader, feed);
  // The limit on pixels is checked once the size is known; libpng's own, a million a side, would come first.
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // Skip what is neither IHDR, PLTE, tRNS, IDAT nor IEND: texts and profiles may unpack to any size.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(reader.png, reader.info);
  reader.width = png_get_image_width(reader.png, reader.info);
  reader.height = png_get_image_height(reader.png, reader.info);
  return true;
}

// After check_size: libpng takes memory for a row here.
bool choose_form(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_expand(reader.png);  // palette to RGB, tRNS to alpha, fewer than 8 bits to 8
  if (std::endian::native == std::endian::little) png_set_swap(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  reader.bits = png_get_bit_depth(reader.png, reader.info);
  reader.channels = png_get_channels(reader.png, reader.info);
  return true;
}

bool read_rows(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, reader.rows);
  png_read_end(reader.png, nullptr);
  return true;
}

[[noreturn]] void complain(const std::string& name, const std::string& what) {
  throw DataError(fmt::format("{}: {}", name, what));
}

void check_size(const Reader& reader, const std::string& name, const PngLimits& limits) {
  const auto pixels = static_cast<std::int64_t>(reader.width) * static_cast<std::int64_t>(reader.height);
  if (pixels > limits.pixels)
    complain(name, fmt::format("a PNG of {} x {} pixels; at most {} are read: scale it down or leave it out",
                               reader.width, reader.height, limits.pixels));
  // Deflate packs at most 1032 bytes into one (zlib's technical notes), and a byte holds at most 8 pixels. A
  // file too short for its size is refused before the memory is taken.
  const auto most = static_cast<std::int64_t>(reader.file.size()) * 1032 * 8;
  if (pixels > most)
    complain(name, fmt::format("the PNG is damaged: it claims {} x {} pixels in {} bytes", reader.width,
                               reader.height, reader.file.size()));
}

bool has_signature(std::span<const std::byte> file) {
  return file.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(file.data()), 0, 8) == 0;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::string reason(int error) { return std::generic_category().message(error); }

struct Writer {
  std::FILE* file = nullptr;
  png_structp png = nullptr;
  png_infop info = nullptr;
  char words[kWordsSize] = "";
  png_uint_32 width = 0, height = 0;
  bool color = false;
  png_bytepp rows = nullptr;

  Writer() = default;
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

bool write_all(Writer& writer) {
  if (setjmp(png_jmpbuf(writer.png))) return false;
  png_init_io(writer.png, writer.file);
  png_set_IHDR(writer.png, writer.info, writer.width, writer.height, 8,
               writer.color ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  png_write_image(writer.png, writer.rows);
  png_write_end(writer.png, nullptr);
  return true;
}

void check_picture(const Tensor& picture) {
  const Shape& shape = picture.shape();
  const bool form = shape.rank() == 2 || (shape.rank() == 3 && (shape[2] == 1 || shape[2] == 3));
  const bool extent =
      form && std::min(shape[0], shape[1]) >= 1 && std::max(shape[0], shape[1]) <= PNG_UINT_31_MAX;
  if (!picture.valid() || !extent || picture.dtype() != DType::u8)
    throw UsageError(
        fmt::format("a picture to be written as PNG must be uint8 of [h, w], [h, w, 1] or [h, w, 3], found "
                    "{} {}",
                    name_of(picture.dtype()), shape.str()));
}

// Writes and closes; returns what went wrong, empty if nothing did.
std::string write_to(File file, const Tensor& picture) {
  if (!file) return reason(errno);
  Writer writer;
  writer.file = file.get();
  writer.height = static_cast<png_uint_32>(picture.shape()[0]);
  writer.width = static_cast<png_uint_32>(picture.shape()[1]);
  writer.color = picture.shape().rank() == 3 && picture.shape()[2] == 3;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer.words, on_error, on_warning);
  if (writer.png) writer.info = png_create_info_struct(writer.png);
  if (!writer.info) return fmt::format("libpng {} cannot start: {}", PNG_LIBPNG_VER_STRING, writer.words);
  const std::size_t stride = picture.size_bytes() / writer.height;
  // libpng takes rows it could write to, but writes to none.
  auto* first = reinterpret_cast<png_bytep>(const_cast<std::byte*>(picture.bytes()));
  std::vector<png_bytep> rows(writer.height);
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = first + y * stride;
  writer.rows = rows.data();
  errno = 0;
  if (!write_all(writer)) return errno ? reason(errno) : writer.words;
  if (std::fclose(file.release()) != 0) return reason(errno);
  return "";
}

}  // namespace

Tensor decode_png(std::span<const std::byte> file, const std::string& name, const PngLimits& limits) {
  if (!has_signature(file))
    complain(name, file.empty() ? "the file is empty, expected a PNG"
                                : "not a PNG: it does not start with PNG's signature");
  Reader reader;
  reader.file = file;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader.words, on_error, on_warning);
  if (reader.png) reader.info = png_create_info_struct(reader.png);
  if (!reader.info)
    throw LibraryError(
        fmt::format("{}: libpng {} cannot start: {}", name, PNG_LIBPNG_VER_STRING, reader.words));
  const auto damaged = [&] { complain(name, fmt::format("the PNG is damaged: {}", reader.words)); };
  if (!read_header(reader)) damaged();
  check_size(reader, name, limits);
  if (!choose_form(reader)) damaged();
  Tensor picture(Shape{reader.height, reader.width, reader.channels},
                 reader.bits == 16 ? DType::u16 : DType::u8);
  const std::size_t stride = picture.size_bytes() / reader.height;
  std::vector<png_bytep> rows(reader.height);
  for (std::size_t y = 0; y < rows.size(); ++y)
    rows[y] = reinterpret_cast<png_bytep>(picture.bytes()) + y * stride;
  reader.rows = rows.data();
  if (!read_rows(reader)) damaged();
  return picture;
}

Tensor read_png(const std::filesystem::path& path, const PngLimits& limits) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) complain(path.string(), fmt::format("cannot be opened: {}", reason(errno)));
  std::vector<std::byte> bytes(8);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  // Some huge file that is no PNG is not read whole; and no PNG within the limits is larger than 8 bytes a
  // pixel and as much again for whatever else it carries.
  const std::size_t most =
      std::size_t{1} << 20 | static_cast<std::size_t>(std::max<std::int64_t>(limits.pixels, 0)) * 16;
  while (has_signature(bytes) && !std::feof(file.get()) && bytes.size() <= most) {
    const std::size_t before = bytes.size();
    bytes.resize(before + std::clamp<std::size_t>(before, 1 << 16, 1 << 24));
    bytes.resize(before + std::fread(bytes.data() + before, 1, bytes.size() - before, file.get()));
    if (std::ferror(file.get())) break;
  }
  if (std::ferror(file.get())) complain(path.string(), fmt::format("cannot be read: {}", reason(errno)));
  if (bytes.size() > most)
    complain(path.string(),
             fmt::format("more than {} bytes, too long for a PNG of at most {} pixels", most, limits.pixels));
  return decode_png(bytes, path.string(), limits);
}

std::vector<std::byte> encode_png(const Tensor& picture) {
  check_picture(picture);
  char* memory = nullptr;
  std::size_t size = 0;
  const std::string problem = write_to(File(::open_memstream(&memory, &size)), picture);
  const std::unique_ptr<char, decltype(&std::free)> owner(memory, &std::free);
  if (!problem.empty()) throw LibraryError(fmt::format("a picture cannot be written as PNG: {}", problem));
  const auto* first = reinterpret_cast<const std::byte*>(memory);
  return {first, first + size};
}

void write_png(const std::filesystem::path& path, const Tensor& picture) {
  check_picture(picture);
  std::filesystem::path part = path;
  part += ".part";
  std::string problem = write_to(File(std::fopen(part.c_str(), "wb")), picture);
  std::error_code status;
  if (problem.empty()) {
    std::filesystem::rename(part, path, status);
    if (!status) return;
    problem = status.message();
  }
  std::filesystem::remove(part, status);
  throw LibraryError(fmt::format("{}: the picture cannot be written: {}", path.string(), problem));
}

}  // namespace convoy
