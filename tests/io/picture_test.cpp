#include "io/picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "core/tensor/error.h"
#include "io/font.h"
#include "io/png.h"
#include "io/temporary_folder.h"

namespace convoy {
namespace {

constexpr Color kRed{255, 0, 0};

int count(const Picture& picture, Color color) {
  int n = 0;
  for (int y = 0; y < picture.height(); ++y)
    for (int x = 0; x < picture.width(); ++x) n += picture.at(x, y) == color;
  return n;
}

template <typename T>
Tensor image(Shape shape, std::vector<T> values) {
  Tensor tensor(shape, dtype_of<T>());
  std::copy(values.begin(), values.end(), tensor.values<T>().begin());
  return tensor;
}

template <typename T>
std::vector<int> grays(Shape shape, std::vector<T> values) {
  const int h = static_cast<int>(shape[0]), w = static_cast<int>(shape[1]);
  Picture picture(w, h);
  picture.blit(image<T>(shape, std::move(values)), {0, 0, w, h});
  std::vector<int> all;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) all.push_back(picture.at(x, y).red);
  return all;
}

TEST(Picture, FillsWhatLiesInsideAndClipsTheRest) {
  Picture picture(10, 8);
  picture.fill({-5, 6, 8, 10}, kRed);
  EXPECT_EQ(count(picture, kRed), 3 * 2);
  EXPECT_EQ(picture.at(2, 6), kRed);
  EXPECT_EQ(picture.at(3, 6), kWhite);
  EXPECT_EQ(picture.at(2, 5), kWhite);
  EXPECT_EQ(picture.at(10, 0), kBlack);
}

TEST(Picture, FramesWithinTheBox) {
  Picture picture(10, 10);
  picture.frame({2, 3, 5, 4}, kRed);
  EXPECT_EQ(count(picture, kRed), 5 * 4 - 3 * 2);
  EXPECT_EQ(picture.at(6, 6), kRed);
  EXPECT_EQ(picture.at(3, 4), kWhite);
}

TEST(Picture, RejectsSidesThatCannotBe) {
  EXPECT_THROW(Picture(0, 5), UsageError);
  EXPECT_THROW(Picture(5, 40000), UsageError);
}

TEST(Picture, MixesColoursByShare) {
  EXPECT_EQ(mix(kWhite, kBlack, 0), kWhite);
  EXPECT_EQ(mix(kWhite, kBlack, 1), kBlack);
  EXPECT_EQ(mix({0, 100, 200}, {100, 200, 0}, 0.25), (Color{25, 125, 150}));
  EXPECT_EQ(mix(kWhite, kBlack, 7), kBlack);
}

TEST(Picture, SavesWhatItShows) {
  const TemporaryFolder folder;
  Picture picture(3, 2);
  picture.set(1, 1, kRed);
  picture.save(folder.path() / "p.png");
  const Tensor read = read_png(folder.path() / "p.png");
  EXPECT_EQ(read.shape(), (Shape{2, 3, 3}));
  const auto pixels = read.values<std::uint8_t>();
  EXPECT_EQ(pixels[3 * 4], 255);
  EXPECT_EQ(pixels[3 * 4 + 1], 0);
  EXPECT_EQ(pixels[3 * 3 + 1], 255);
}

TEST(Blit, EnlargesEveryPixelToABlock) {
  Picture picture(8, 6);
  picture.blit(image<std::uint8_t>({2, 2, 1}, {10, 20, 30, 40}), {1, 0, 6, 6});
  EXPECT_EQ(picture.at(0, 0), kWhite);
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 6; ++x) {
      const auto gray = static_cast<std::uint8_t>(10 + 10 * (x / 3) + 20 * (y / 3));
      ASSERT_EQ(picture.at(x + 1, y), (Color{gray, gray, gray})) << x << ", " << y;
    }
}

TEST(Blit, TakesTheMiddleOfWhatItShrinks) {
  Picture picture(2, 1);
  picture.blit(image<std::uint8_t>({1, 6}, {1, 2, 3, 4, 5, 6}), {0, 0, 2, 1});
  EXPECT_EQ(picture.at(0, 0).red, 2);
  EXPECT_EQ(picture.at(1, 0).red, 5);
}

TEST(Blit, ClipsAtEveryEdge) {
  Picture picture(4, 4);
  picture.blit(Tensor({1, 1}, DType::u8), {-2, -2, 4, 4});
  EXPECT_EQ(count(picture, kBlack), 4);
  picture.blit(Tensor({1, 1}, DType::u8), {3, 3, 9, 9});
  EXPECT_EQ(count(picture, kBlack), 5);
}

TEST(Blit, ShowsColoursAndAlphaOverWhite) {
  Picture picture(1, 1);
  picture.blit(image<std::uint8_t>({1, 1, 3}, {1, 2, 3}), {0, 0, 1, 1});
  EXPECT_EQ(picture.at(0, 0), (Color{1, 2, 3}));
  picture.blit(image<std::uint8_t>({1, 1, 4}, {0, 100, 200, 0}), {0, 0, 1, 1});
  EXPECT_EQ(picture.at(0, 0), kWhite);
  picture.blit(image<std::uint8_t>({1, 1, 2}, {0, 51}), {0, 0, 1, 1});
  EXPECT_EQ(picture.at(0, 0), (Color{204, 204, 204}));
}

TEST(Blit, BringsSixteenBitsToEight) {
  EXPECT_EQ(grays<std::uint16_t>({1, 3}, {0, 32768, 65535}), (std::vector<int>{0, 128, 255}));
  EXPECT_EQ(grays<std::uint16_t>({1, 3}, {0, 1000, 2000}), (std::vector<int>{0, 128, 255}));
}

TEST(Blit, ShowsFloatsBetweenZeroAndOneAsTheyAre) {
  EXPECT_EQ(grays<float>({1, 3}, {0.2f, 0.4f, 1.0f}), (std::vector<int>{51, 102, 255}));
  EXPECT_EQ(grays<double>({1, 2}, {0.2, 0.4}), (std::vector<int>{51, 102}));
}

TEST(Blit, StretchesOtherFloatsBetweenTheirExtremes) {
  EXPECT_EQ(grays<float>({1, 3}, {-2, -1, 0}), (std::vector<int>{0, 128, 255}));
  EXPECT_EQ(grays<float>({1, 3}, {-3, 0, 5}), (std::vector<int>{0, 96, 255}));
  EXPECT_EQ(grays<float>({1, 2}, {7, 7}), (std::vector<int>{128, 128}));
}

TEST(Blit, ShowsWhatIsNoNumberAsBlack) {
  const float nan = std::nanf(""), infinite = std::numeric_limits<float>::infinity();
  EXPECT_EQ(grays<float>({1, 4}, {nan, -1, 1, infinite}), (std::vector<int>{0, 0, 255, 255}));
}

TEST(Blit, ShowsTheMiddleSliceOfAVolume) {
  Picture picture(1, 1);
  picture.blit(image<std::uint8_t>({3, 1, 1, 1}, {10, 20, 30}), {0, 0, 1, 1});
  EXPECT_EQ(picture.at(0, 0).red, 20);
}

TEST(Blit, RejectsWhatIsNoImage) {
  Picture picture(4, 4);
  const Box box{0, 0, 4, 4};
  EXPECT_THROW(picture.blit(Tensor(), box), UsageError);
  EXPECT_THROW(picture.blit(Tensor({4}, DType::u8), box), UsageError);
  EXPECT_THROW(picture.blit(Tensor({4, 4, 5}, DType::u8), box), UsageError);
  EXPECT_THROW(picture.blit(Tensor({0, 4, 1}, DType::u8), box), UsageError);
  EXPECT_THROW(picture.blit(Tensor({4, 4, 1}, DType::i32), box), UsageError);
}

TEST(Font, DrawsEveryPrintableCharacterDifferently) {
  std::set<Glyph> glyphs;
  for (char32_t c = 0x20; c <= 0x7e; ++c) {
    EXPECT_EQ(glyph(c) == Glyph{}, c == ' ') << static_cast<int>(c);
    glyphs.insert(glyph(c));
  }
  EXPECT_EQ(glyphs.size(), 95u);
  EXPECT_EQ(glyphs.count(glyph(0xe9)), 0u);
}

TEST(Text, DrawsTheDotsOfItsGlyphs) {
  Picture picture(20, 12);
  picture.text(1, 1, "Ly", {.color = kRed});
  for (int v = 0; v < kGlyphHeight; ++v)
    for (int u = 0; u < kGlyphWidth; ++u) {
      const auto dot = [&](char c) {
        return glyph(static_cast<char32_t>(c))[static_cast<std::size_t>(v)] >> (4 - u) & 1;
      };
      ASSERT_EQ(picture.at(1 + u, 1 + v) == kRed, dot('L') == 1) << u << ", " << v;
      ASSERT_EQ(picture.at(7 + u, 1 + v) == kRed, dot('y') == 1) << u << ", " << v;
    }
}

TEST(Text, GrowsByWholeDots) {
  Picture small(20, 20), large(40, 40);
  small.text(0, 0, "g%");
  large.text(0, 0, "g%", {.scale = 2});
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 40; ++x) ASSERT_EQ(large.at(x, y), small.at(x / 2, y / 2));
}

TEST(Text, TurnedUpwardsIsTheSameDotsTurned) {
  Picture across(30, 30), upward(30, 30);
  across.text(2, 3, "Fj", {.scale = 2});
  upward.text(3, 27, "Fj", {.scale = 2, .upward = true});
  int dots = 0;
  for (int y = 0; y < 27; ++y)
    for (int x = 0; x < 25; ++x) {
      ASSERT_EQ(upward.at(x, 26 - y), across.at(2 + y, x)) << x << ", " << y;
      dots += across.at(2 + y, x) == kBlack;
    }
  EXPECT_GT(dots, 40);
}

TEST(Text, IsMeasuredInCharactersNotBytes) {
  EXPECT_EQ(text_width(""), 0);
  EXPECT_EQ(text_width("a"), 5);
  EXPECT_EQ(text_width("ab", 2), 22);
  EXPECT_EQ(text_width("\xe9\x9d\xb4\xe5\xad\x90"), 11);  // two characters of three bytes
  EXPECT_EQ(text_width("\xff\xfe"), 11);                  // two bytes that are none
}

TEST(Text, IsShortenedBetweenCharacters) {
  EXPECT_EQ(shortened("ankle boot", 10), "ankle boot");
  EXPECT_EQ(shortened("ankle boots", 10), "ankle bo..");
  EXPECT_EQ(shortened("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 3), "\xc3\xa9..");
}

}  // namespace
}  // namespace convoy
