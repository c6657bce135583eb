// JPEG files, whole and in part, whole and damaged.
#include "io/jpeg.h"

#include <gtest/gtest.h>

#include <cstring>

#include <jpeglib.h>

#include "core/tensor/error.h"
#include "dataset_fixture.h"
#include "io/picture_bytes.h"
#include "test_pictures.h"

namespace convoy {
namespace {

std::span<const std::byte> as_file(const std::string& text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

/// As encode_jpeg, in forms that it does not write.
std::string special_jpeg(const Tensor& pixels, J_COLOR_SPACE space, bool progressive, int sampling) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_height = static_cast<JDIMENSION>(pixels.shape()[0]);
  info.image_width = static_cast<JDIMENSION>(pixels.shape()[1]);
  info.input_components = static_cast<int>(pixels.shape()[2]);
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 92, TRUE);
  info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = sampling;
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (JDIMENSION y = 0; y < info.image_height; ++y) {
    auto* row = reinterpret_cast<JSAMPROW>(const_cast<std::byte*>(pixels.bytes())) +
                static_cast<std::size_t>(y) * info.image_width * static_cast<std::size_t>(info.input_components);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string file(reinterpret_cast<const char*>(out), size);
  jpeg_destroy_compress(&info);
  std::free(out);
  return file;
}

TEST(Jpeg, WhatIsWrittenIsReadAgain) {
  for (int channels : {1, 3}) {
    const Tensor picture = test_picture(61, 83, channels);
    const auto file = encode_jpeg(picture, 95);
    EXPECT_EQ(encode_jpeg(picture, 95), file) << "the same pixels give the same bytes";
    JpegDecoder decoder;
    const JpegHeader header = decoder.open(file, "a.jpg");
    EXPECT_EQ(header.height, 61);
    EXPECT_EQ(header.width, 83);
    EXPECT_EQ(header.components, channels);
    EXPECT_LT(mean_difference(decode_jpeg(file, "a.jpg", channels), picture), 1.5);
  }
}

TEST(Jpeg, GrayAndColourBecomeEachOther) {
  const Tensor gray = test_picture(40, 40, 1);
  const Tensor as_color = decode_jpeg(encode_jpeg(gray, 95), "gray", 3);
  EXPECT_EQ(as_color.shape(), (Shape{40, 40, 3}));
  for (std::size_t i = 0; i < 1600; ++i) ASSERT_EQ(as_color.values<std::uint8_t>()[3 * i], as_color.values<std::uint8_t>()[3 * i + 2]);
  const Tensor color = test_picture(40, 40, 3);
  EXPECT_LT(mean_difference(decode_jpeg(encode_jpeg(color, 95), "color", 1), as_bytes(color, 1)), 1.5);
}

TEST(Jpeg, APartHasThePixelsOfTheWhole) {
  struct Form {
    bool progressive;
    int sampling;
  };
  for (const Form form : {Form{false, 1}, Form{false, 2}, Form{true, 2}}) {
    const std::string file = special_jpeg(test_picture(211, 307), JCS_RGB, form.progressive, form.sampling);
    for (int scale : {1, 2, 4, 8}) {
      JpegDecoder whole_decoder, decoder;
      const JpegHeader header = whole_decoder.open(as_file(file), "whole");
      const std::int64_t height = (header.height + scale - 1) / scale, width = (header.width + scale - 1) / scale;
      const auto whole = whole_decoder.decode({0, 0, height, width}, scale, 3);
      for (const PixelBox& wanted : {PixelBox{0, 0, height, width}, PixelBox{height / 3, width / 5, height / 2, width / 2},
                                     PixelBox{height - 9, width - 9, 9, 9}, PixelBox{1, 0, 7, width}, PixelBox{0, 11, height, 13}}) {
        decoder.open(as_file(file), "part");
        const auto part = decoder.decode(wanted, scale, 3);
        ASSERT_LE(part.box.left, wanted.left);
        ASSERT_GE(part.box.left + part.box.width, wanted.left + wanted.width);
        // What upsampling mixes in from beyond the part's edges: two pixels, but for the picture's own edges.
        const std::int64_t top = wanted.top == 0 ? 0 : 2, bottom = wanted.top + wanted.height == height ? 0 : 2;
        const std::int64_t left = wanted.left == 0 ? 0 : 2, right = wanted.left + wanted.width == width ? 0 : 2;
        for (std::int64_t y = top; y < wanted.height - bottom; ++y)
          ASSERT_EQ(std::memcmp(part.data + y * part.row_bytes + (wanted.left + left - part.box.left) * 3,
                                whole.data + (wanted.top + y) * whole.row_bytes + (wanted.left + left) * 3,
                                static_cast<std::size_t>((wanted.width - left - right) * 3)),
                    0)
              << "scale " << scale << ", progressive " << form.progressive << ", sampling " << form.sampling << ", row " << y
              << " of a part at " << wanted.top << ", " << wanted.left;
      }
    }
  }
}

TEST(Jpeg, AtAHalfThePictureIsTheMeanOfItsPixels) {
  const Tensor picture = test_picture(64, 96);
  const auto file = encode_jpeg(picture, 98);
  JpegDecoder decoder;
  decoder.open(file, "a.jpg");
  const auto half = decoder.decode({0, 0, 32, 48}, 2, 3);
  double sum = 0;
  const auto pixels = picture.values<std::uint8_t>();
  for (std::int64_t y = 0; y < 32; ++y)
    for (std::int64_t x = 0; x < 48; ++x) {
      double mean = 0;
      for (std::int64_t k = 0; k < 4; ++k) mean += pixels[static_cast<std::size_t>(((2 * y + k / 2) * 96 + 2 * x + k % 2) * 3)] / 4.0;
      sum += std::abs(mean - half.data[y * half.row_bytes + 3 * x]);
    }
  EXPECT_LT(sum / (32 * 48), 4);
}

TEST(Jpeg, InkBecomesLight) {
  Tensor ink(Shape{16, 16, 4}, DType::u8);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t cmyk[] = {200, 60, 0, 25};  // as Photoshop writes: 255 is no ink
    std::memcpy(ink.bytes() + 4 * i, cmyk, 4);
  }
  std::string file = special_jpeg(ink, JCS_CMYK, false, 1);  // libjpeg writes Adobe's marker
  const Tensor light = decode_jpeg(as_file(file), "ink", 3);
  const int expected[] = {200 * 25 / 255, 60 * 25 / 255, 0};
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(light.values<std::uint8_t>()[static_cast<std::size_t>(c)], expected[c], 2);
  const std::size_t adobe = file.find("Adobe");
  ASSERT_NE(adobe, std::string::npos);
  file[adobe] = 'a';  // another application's segment: 255 is all ink
  const Tensor dark = decode_jpeg(as_file(file), "ink", 3);
  const int other[] = {55 * 230 / 255, 195 * 230 / 255, 230};
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(dark.values<std::uint8_t>()[static_cast<std::size_t>(c)], other[c], 2);
}

TEST(Jpeg, DamageIsToldFromAMissingEnd) {
  const std::string whole = text_of_bytes(encode_jpeg(test_picture(120, 90), 90));
  JpegDecoder decoder;
  const auto complaints_of = [&](const std::string& file) {
    const JpegHeader header = decoder.open(as_file(file), "a.jpg");
    decoder.decode({0, 0, header.height, header.width}, 1, 3);
    return decoder.complaints();
  };
  EXPECT_TRUE(complaints_of(whole).damage.empty());
  EXPECT_FALSE(complaints_of(whole).no_end_marker);
  EXPECT_TRUE(complaints_of(whole + std::string(1000, 'x')).damage.empty()) << "what follows the end is no damage";
  const std::string no_end = whole.substr(0, whole.size() - 2);
  EXPECT_TRUE(complaints_of(no_end).no_end_marker);
  EXPECT_TRUE(complaints_of(no_end).damage.empty());
  const std::string stray = no_end + std::string(40, 'x') + "\xff\xd9";
  EXPECT_TRUE(complaints_of(stray).damage.empty());
  EXPECT_HAS(complaints_of(stray).oddity, "extraneous bytes");
  EXPECT_TRUE(complaints_of(whole).oddity.empty());
  for (std::size_t size : {whole.size() * 9 / 10, whole.size() / 2}) EXPECT_FALSE(complaints_of(whole.substr(0, size)).damage.empty()) << size;
  EXPECT_TRUE(complaints_of(whole).damage.empty()) << "the next file is another matter";
}

TEST(Jpeg, WhatIsNoPictureIsRefusedByName) {
  JpegDecoder decoder;
  const auto refusal = [&](const std::string& file, JpegLimits limits = {}) {
    return error_of<DataError>([&] {
      const JpegHeader header = decoder.open(as_file(file), "a.jpg", limits);
      decoder.decode({0, 0, header.height, header.width}, 1, 3);
    });
  };
  const std::string whole = text_of_bytes(encode_jpeg(test_picture(50, 40), 90));
  EXPECT_HAS(refusal(""), "a.jpg: the file is empty");
  EXPECT_HAS(refusal("<html>"), "not a JPEG");
  EXPECT_HAS(refusal(whole.substr(0, 100)), "damaged");
  EXPECT_HAS(refusal(whole, {.pixels = 1999}), "a JPEG of 40 x 50 pixels; at most 1999");
  EXPECT_EQ(refusal(whole), "nothing was thrown");
}

TEST(Jpeg, EndlessScansAreRefused) {
  // The first scan of a progressive file again and again: each costs a picture, at a few hundred bytes.
  const std::string file = special_jpeg(test_picture(16, 16), JCS_RGB, true, 1);
  const std::size_t first = file.find("\xff\xda"), second = file.find("\xff\xc4", first), next = file.find("\xff\xda", first + 2);
  ASSERT_NE(next, std::string::npos);
  const std::string scan = file.substr(first, std::min(second, next) - first);
  std::string endless = file.substr(0, first);
  for (int i = 0; i < 2000; ++i) endless += scan;
  endless += file.substr(std::min(second, next));
  EXPECT_HAS(error_of<DataError>([&] { decode_jpeg(as_file(endless), "a.jpg", 3); }), "scans");
}

TEST(Jpeg, OrientationIsReadAndUndone) {
  const std::string plain = text_of_bytes(encode_jpeg(test_picture(8, 8), 90));
  EXPECT_EQ(exif_orientation(as_file(plain)), 1);
  for (int orientation = 1; orientation <= 8; ++orientation)
    EXPECT_EQ(exif_orientation(as_file(with_orientation(plain, orientation))), orientation);
  EXPECT_EQ(exif_orientation(as_file(with_orientation(plain, 9))), 1);
  const std::string cut = with_orientation(plain, 6);
  for (std::size_t size = 0; size < 40; ++size) exif_orientation(as_file(cut.substr(0, size)));
}

/// CIPA DC-008, table of the tag: where the file's row 0 and column 0 are in the picture.
TEST(Jpeg, EveryOrientationTurnsAsTheStandardSays) {
  Tensor file(Shape{2, 3, 1}, DType::u8);
  for (std::size_t i = 0; i < 6; ++i) file.values<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  const std::vector<std::vector<std::uint8_t>> expected{{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
                                                        {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Tensor turned = upright(file, orientation);
    EXPECT_EQ(turned.shape(), orientation < 5 ? (Shape{2, 3, 1}) : (Shape{3, 2, 1}));
    const auto pixels = turned.values<std::uint8_t>();
    EXPECT_EQ(std::vector<std::uint8_t>(pixels.begin(), pixels.end()), expected[static_cast<std::size_t>(orientation - 1)]) << orientation;
  }
}

TEST(PictureBytes, SixteenBitsAlphaAndGray) {
  Tensor deep(Shape{1, 2, 2}, DType::u16);
  const std::uint16_t values[] = {65535, 65535, 0, 32768};  // white; black, half transparent
  std::memcpy(deep.bytes(), values, sizeof values);
  const Tensor rgb = as_bytes(deep, 3);
  EXPECT_EQ(rgb.shape(), (Shape{1, 2, 3}));
  EXPECT_EQ(rgb.values<std::uint8_t>()[0], 255);
  EXPECT_EQ(rgb.values<std::uint8_t>()[3], 127);  // on white
  EXPECT_EQ(as_bytes(rgb, 1).values<std::uint8_t>()[1], 127);
}

}  // namespace
}  // namespace convoy
