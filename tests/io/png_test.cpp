#include "io/png.h"

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "io/temporary_folder.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class Png : public testing::Test {
 protected:
  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

Tensor noise(Shape shape) {
  Tensor picture(shape, DType::u8);
  const RandomKey key(1, "noise");
  auto values = picture.values<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(key.word(i));
  return picture;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.size_bytes() == b.size_bytes() && std::memcmp(a.bytes(), b.bytes(), a.size_bytes()) == 0;
}

TEST_F(Png, ReadsBackTheGrayAndTheColourThatItWrote) {
  for (const Shape& shape : {Shape{5, 7}, Shape{5, 7, 1}, Shape{64, 33, 3}, Shape{1, 1, 3}}) {
    const Tensor written = noise(shape);
    write_png(folder_ / "a.png", written);
    const Tensor read = read_png(folder_ / "a.png");
    EXPECT_EQ(read.shape(), (Shape{shape[0], shape[1], shape.rank() == 3 ? shape[2] : 1}));
    EXPECT_EQ(read.dtype(), DType::u8);
    EXPECT_TRUE(same(read, written)) << shape.str();
  }
  EXPECT_FALSE(fs::exists(folder_ / "a.png.part"));
}

TEST_F(Png, WritesOnlyWhatAPictureIs) {
  EXPECT_THROW(write_png(folder_ / "a.png", Tensor()), UsageError);
  EXPECT_THROW(write_png(folder_ / "a.png", Tensor({4, 4, 2}, DType::u8)), UsageError);
  EXPECT_THROW(write_png(folder_ / "a.png", Tensor({4, 4, 3}, DType::f32)), UsageError);
  EXPECT_THROW(write_png(folder_ / "a.png", Tensor({0, 4, 3}, DType::u8)), UsageError);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Png, NamesThePathThatCannotBeWritten) {
  try {
    write_png(folder_ / "absent" / "a.png", noise({4, 4}));
    FAIL() << "written";
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("absent/a.png"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("No such file"), std::string::npos);
  }
}

TEST_F(Png, ReportsADiskThatIsFull) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  fs::create_symlink("/dev/full", folder_ / "a.png.part");
  try {
    write_png(folder_ / "a.png", noise({300, 300, 3}));
    FAIL() << "written";
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(folder_ / "a.png"));
}

// A file of any form that libpng can write: what the reader should undo.
struct Form {
  int width, height, bits, color_type, interlace;
};

std::vector<std::byte> encode(const Form& form, const std::vector<std::vector<png_byte>>& rows,
                              bool transparent = false) {
  std::vector<std::byte> file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp p, png_bytep data, std::size_t size) {
        auto& to = *static_cast<std::vector<std::byte>*>(png_get_io_ptr(p));
        const auto* from = reinterpret_cast<const std::byte*>(data);
        to.insert(to.end(), from, from + size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(form.width), static_cast<png_uint_32>(form.height),
               form.bits, form.color_type, form.interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (form.color_type == PNG_COLOR_TYPE_PALETTE) {
    const png_color palette[] = {{10, 20, 30}, {200, 100, 0}, {0, 0, 255}, {9, 9, 9}};
    png_set_PLTE(png, info, palette, 4);
  }
  const png_byte alpha[] = {255, 128};
  if (transparent) png_set_tRNS(png, info, alpha, 2, nullptr);
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (const auto& row : rows) pointers.push_back(const_cast<png_bytep>(row.data()));
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::vector<int> values(const Tensor& picture) {
  std::vector<int> all;
  if (picture.dtype() == DType::u16)
    for (const auto x : picture.values<std::uint16_t>()) all.push_back(x);
  else
    for (const auto x : picture.values<std::uint8_t>()) all.push_back(x);
  return all;
}

TEST_F(Png, ReadsSixteenBitsInTheMachinesByteOrder) {
  const Tensor read = decode_png(encode({2, 1, 16, PNG_COLOR_TYPE_GRAY, 0}, {{0x01, 0x02, 0xff, 0x00}}), "x");
  EXPECT_EQ(read.dtype(), DType::u16);
  EXPECT_EQ(values(read), (std::vector<int>{0x0102, 0xff00}));
}

TEST_F(Png, StretchesFewBitsToTheWholeRange) {
  EXPECT_EQ(values(decode_png(encode({4, 1, 1, PNG_COLOR_TYPE_GRAY, 0}, {{0b10100000}}), "x")),
            (std::vector<int>{255, 0, 255, 0}));
  EXPECT_EQ(values(decode_png(encode({4, 1, 2, PNG_COLOR_TYPE_GRAY, 0}, {{0b00011011}}), "x")),
            (std::vector<int>{0, 85, 170, 255}));
}

TEST_F(Png, TurnsPalettesIntoColours) {
  const Tensor read = decode_png(encode({2, 1, 8, PNG_COLOR_TYPE_PALETTE, 0}, {{1, 0}}), "x");
  EXPECT_EQ(read.shape(), (Shape{1, 2, 3}));
  EXPECT_EQ(values(read), (std::vector<int>{200, 100, 0, 10, 20, 30}));
}

TEST_F(Png, TurnsTransparentColoursIntoAlpha) {
  const Tensor read = decode_png(encode({2, 1, 8, PNG_COLOR_TYPE_PALETTE, 0}, {{1, 2}}, true), "x");
  EXPECT_EQ(read.shape(), (Shape{1, 2, 4}));
  EXPECT_EQ(values(read), (std::vector<int>{200, 100, 0, 128, 0, 0, 255, 255}));
}

TEST_F(Png, KeepsTheAlphaOfGray) {
  const Tensor read = decode_png(encode({1, 2, 8, PNG_COLOR_TYPE_GRAY_ALPHA, 0}, {{7, 8}, {9, 10}}), "x");
  EXPECT_EQ(read.shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(values(read), (std::vector<int>{7, 8, 9, 10}));
}

TEST_F(Png, UndoesInterlacing) {
  std::vector<std::vector<png_byte>> rows(9, std::vector<png_byte>(3 * 11));
  const RandomKey key(2, "interlaced");
  std::vector<int> expected;
  for (std::size_t y = 0; y < 9; ++y)
    for (std::size_t x = 0; x < 33; ++x) {
      rows[y][x] = static_cast<png_byte>(key.word(33 * y + x));
      expected.push_back(rows[y][x]);
    }
  EXPECT_EQ(values(decode_png(encode({11, 9, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7}, rows), "x")),
            expected);
}

// ---- damage
// -----------------------------------------------------------------------------------------------------

std::vector<std::byte> whole() {
  std::vector<std::vector<png_byte>> rows(40, std::vector<png_byte>(40));
  const RandomKey key(3, "whole");
  for (std::size_t i = 0; i < 1600; ++i) rows[i / 40][i % 40] = static_cast<png_byte>(key.word(i));
  return encode({40, 40, 8, PNG_COLOR_TYPE_GRAY, 0}, rows);
}

TEST_F(Png, RefusesEveryTruncation) {
  const std::vector<std::byte> file = whole();
  ASSERT_NO_THROW(decode_png(file, "x"));
  for (std::size_t size = 0; size < file.size(); ++size)
    ASSERT_THROW(decode_png(std::span(file).first(size), "x"), DataError) << size << " of " << file.size();
}

TEST_F(Png, RefusesEveryFlippedBit) {
  std::vector<std::byte> file = whole();
  const RandomKey key(4, "flips");
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const std::size_t where = key.below(2 * i, file.size());
    const auto bit = static_cast<std::byte>(1 << key.below(2 * i + 1, 8));
    file[where] ^= bit;
    ASSERT_THROW(decode_png(file, "x"), DataError) << "byte " << where;
    file[where] ^= bit;
  }
}

TEST_F(Png, NamesTheFileThatIsDamaged) {
  const std::vector<std::byte> file = whole();
  std::ofstream(folder_ / "cut.png", std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size() / 2));
  try {
    read_png(folder_ / "cut.png");
    FAIL() << "accepted";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("cut.png"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("ends too early"), std::string::npos) << error.what();
  }
}

TEST_F(Png, RefusesWhatIsNoFileOfPixels) {
  EXPECT_THROW(read_png(folder_ / "absent.png"), DataError);
  EXPECT_THROW(read_png(folder_), DataError);
  std::ofstream(folder_ / "page.png") << "<html>not found</html>";
  EXPECT_THROW(read_png(folder_ / "page.png"), DataError);
  std::ofstream(folder_ / "empty.png").flush();
  EXPECT_THROW(read_png(folder_ / "empty.png"), DataError);
}

TEST_F(Png, RefusesMorePixelsThanTheLimit) {
  write_png(folder_ / "a.png", noise({30, 40}));
  EXPECT_NO_THROW(read_png(folder_ / "a.png", {.pixels = 1200}));
  EXPECT_THROW(read_png(folder_ / "a.png", {.pixels = 1199}), DataError);
}

std::vector<std::byte> claiming(std::uint32_t width, std::uint32_t height) {
  // Another size in a whole file's header, with the header's CRC made right.
  std::vector<std::byte> file = whole();
  const auto put = [&](std::size_t at, std::uint32_t x) {
    for (int i = 0; i < 4; ++i)
      file[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(x >> (24 - 8 * i));
  };
  put(16, width);
  put(20, height);
  std::uint32_t crc = 0xffffffff;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<std::uint32_t>(file[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
  }
  put(29, ~crc);
  return file;
}

TEST_F(Png, RefusesSizesThatTheFileCannotHold) {
  EXPECT_NO_THROW(decode_png(claiming(40, 40), "x"));
  const auto refused = [](std::uint32_t width, std::uint32_t height, const PngLimits& limits) -> std::string {
    try {
      decode_png(claiming(width, height), "x", limits);
    } catch (const DataError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(refused(0x7fffffff, 0x7fffffff, {}).find("at most"), std::string::npos);
  EXPECT_NE(refused(0x7fffffff, 1, {.pixels = std::int64_t{1} << 40}).find("claims"), std::string::npos);
  EXPECT_NE(refused(8000, 8000, {}).find("claims"), std::string::npos);
  EXPECT_NE(refused(40, 41, {}).find("damaged"), std::string::npos);
  EXPECT_NE(refused(0, 40, {}).find("damaged"), std::string::npos);
}

// ---- real files
// -------------------------------------------------------------------------------------------------

class OddPng : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(CONVOY_SHARED_DATA) / "odd-inputs" / "images";
    if (!fs::exists(folder_)) GTEST_SKIP() << "no pictures at " << folder_ << " (set CONVOY_SHARED_DATA)";
  }
  void expect(const char* name, Shape shape, DType dtype) {
    const Tensor picture = read_png(folder_ / name);
    EXPECT_EQ(picture.shape(), shape) << name;
    EXPECT_EQ(picture.dtype(), dtype) << name;
  }
  fs::path folder_;
};

TEST_F(OddPng, ReadsEveryKind) {
  expect("gray16.png", {426, 320, 1}, DType::u16);
  expect("rgb16.png", {213, 160, 3}, DType::u16);
  expect("palette.png", {213, 160, 3}, DType::u8);
  expect("palette_transparent.png", {213, 160, 4}, DType::u8);
  expect("rgba.png", {213, 160, 4}, DType::u8);
  expect("gray_alpha.png", {213, 160, 2}, DType::u8);
  expect("one_bit.png", {213, 160, 1}, DType::u8);
  expect("interlaced.png", {213, 160, 3}, DType::u8);
  expect("png_inside.JPEG", {213, 160, 3}, DType::u8);
}

TEST_F(OddPng, KeepsTheValuesOfTwelveBitCameras) {
  const Tensor picture = read_png(folder_ / "gray16_12bit_values.png");
  const auto pixels = picture.values<std::uint16_t>();
  const auto largest = *std::max_element(pixels.begin(), pixels.end());
  EXPECT_LT(largest, 4096);
  EXPECT_GT(largest, 2048);
}

TEST_F(OddPng, ReadsTheInterlacedPictureInPlace) {
  // interlaced.png and rgba.png show one photograph, scaled in two ways: rows or columns out of place would
  // differ much.
  const Tensor interlaced = read_png(folder_ / "interlaced.png"), rgba = read_png(folder_ / "rgba.png");
  const auto a = interlaced.values<std::uint8_t>(), b = rgba.values<std::uint8_t>();
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += std::abs(a[i] - b[i / 3 * 4 + i % 3]);
  EXPECT_LT(difference / static_cast<double>(a.size()), 2);
}

TEST_F(OddPng, RefusesDamagedOnesBombsAndOtherFormats) {
  for (const char* name :
       {"bad_crc.png", "truncated.png", "bomb_30000x30000.png", "jpeg_inside.png", "base.jpg"}) {
    try {
      read_png(folder_ / name);
      ADD_FAILURE() << name << " was accepted";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace convoy
