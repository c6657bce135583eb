#include <gtest/gtest.h>

#include <algorithm>

#include "core/tensor/error.h"
#include "io/confusion_picture.h"
#include "io/mistakes_picture.h"

namespace convoy {
namespace {

int count(const Picture& picture, Color color) {
  const auto samples = picture.pixels().values<std::uint8_t>();
  int n = 0;
  for (std::size_t i = 0; i < samples.size(); i += 3)
    n += samples[i] == color.red && samples[i + 1] == color.green && samples[i + 2] == color.blue;
  return n;
}

bool same(const Picture& a, const Picture& b) {
  const auto x = a.pixels().values<std::uint8_t>(), y = b.pixels().values<std::uint8_t>();
  return a.width() == b.width() && std::equal(x.begin(), x.end(), y.begin(), y.end());
}

constexpr Color kRight{33, 102, 172}, kWrong{202, 44, 38};  // full shares

TEST(ConfusionPicture, ColoursCellsByTheirShareOfTheRow) {
  const std::vector<std::string> names = {"a", "b"};
  // Both rows whole, on the diagonal: no red. All wrong: no blue.
  const Picture right = confusion_picture(names, std::vector<std::int64_t>{50, 0, 0, 7});
  EXPECT_GT(count(right, kRight), 2 * 40 * 40);
  EXPECT_EQ(count(right, kWrong), 0);
  const Picture wrong = confusion_picture(names, std::vector<std::int64_t>{0, 50, 7, 0});
  EXPECT_GT(count(wrong, kWrong), 2 * 40 * 40);
  EXPECT_EQ(count(wrong, kRight), 0);
  // A quarter of a row is half the depth beside the diagonal.
  const Picture some = confusion_picture(names, std::vector<std::int64_t>{3, 1, 0, 1});
  EXPECT_GT(count(some, mix(kWhite, kWrong, 0.5)), 40 * 40);
  EXPECT_GT(count(some, mix(kWhite, kRight, 0.75)), 40 * 40);
}

TEST(ConfusionPicture, PutsTrueClassesInRows) {
  const Picture picture = confusion_picture({"a", "b"}, std::vector<std::int64_t>{0, 9, 0, 9});
  // a taken for b: the red cell stands above the blue one.
  int red = -1, blue = -1;
  for (int y = 0; y < picture.height(); ++y)
    for (int x = 0; x < picture.width(); ++x) {
      if (red < 0 && picture.at(x, y) == kWrong) red = y;
      if (blue < 0 && picture.at(x, y) == kRight) blue = y;
    }
  ASSERT_GE(red, 0);
  EXPECT_LT(red, blue);
}

TEST(ConfusionPicture, WritesCountsAndNames) {
  const std::vector<std::string> names = {"cat", "dog"}, others = {"cat", "cow"};
  const std::vector<std::int64_t> twenty = {20, 0, 0, 20}, thirty = {30, 0, 0, 30};
  const Picture first = confusion_picture(names, twenty);
  EXPECT_FALSE(same(first, confusion_picture(names, thirty)));
  EXPECT_FALSE(same(first, confusion_picture(others, twenty)));
  EXPECT_GT(count(first, kWhite), 0);  // white digits on blue
}

TEST(ConfusionPicture, WidensCellsForLargeCounts) {
  const std::vector<std::string> names = {"cat", "dog"};
  const Picture small = confusion_picture(names, std::vector<std::int64_t>{1, 0, 0, 1});
  const Picture large = confusion_picture(names, std::vector<std::int64_t>{12345678, 0, 0, 1});
  EXPECT_GT(large.height(), small.height());
}

TEST(ConfusionPicture, FitsAScreenForManyClasses) {
  for (const int k : {1, 12, 13, 40, 41, 128, 129, 601}) {
    std::vector<std::string> names;
    for (int i = 0; i < k; ++i) names.push_back("a class with a rather long name " + std::to_string(i));
    std::vector<std::int64_t> counts(static_cast<std::size_t>(k) * static_cast<std::size_t>(k), 1);
    const Picture picture = confusion_picture(names, counts);
    EXPECT_LE(picture.width(), 1920) << k;
    EXPECT_LE(picture.height(), 1920) << k;
    EXPECT_GE(picture.width(), k) << k;
  }
}

TEST(ConfusionPicture, DrawsAnEmptyMatrix) {
  const Picture picture = confusion_picture({"a", "b"}, std::vector<std::int64_t>(4));
  EXPECT_EQ(count(picture, kRight) + count(picture, kWrong), 0);
}

TEST(ConfusionPicture, RejectsSizesThatDiffer) {
  EXPECT_THROW(confusion_picture({}, {}), UsageError);
  EXPECT_THROW(confusion_picture({"a", "b"}, std::vector<std::int64_t>(3)), UsageError);
  EXPECT_THROW(confusion_picture(std::vector<std::string>(2001), {}), UsageError);
}

Tensor flat(Shape shape, std::uint8_t value) {
  Tensor image(shape, DType::u8);
  for (auto& x : image.values<std::uint8_t>()) x = value;
  return image;
}

TEST(MistakesPicture, ShowsEveryImageAtWholeMultiples) {
  std::vector<MistakenSample> samples;
  for (int i = 0; i < 7; ++i)
    samples.push_back({flat({28, 28, 1}, static_cast<std::uint8_t>(100 + i)), "cat", "dog", 0.9});
  const Picture picture = mistakes_picture(samples, 3);
  for (int i = 0; i < 7; ++i) {
    const auto gray = static_cast<std::uint8_t>(100 + i);
    EXPECT_EQ(count(picture, {gray, gray, gray}), 168 * 168) << i;
  }
  EXPECT_GT(picture.height(), 3 * 168);
  EXPECT_LT(picture.width(), 4 * 168 + 100);
}

TEST(MistakesPicture, EnlargesPixelsEvenly) {
  const std::vector<MistakenSample> samples = {{flat({50, 50, 1}, 77), "a", "b", 0.5}};
  EXPECT_EQ(count(mistakes_picture(samples), {77, 77, 77}), 150 * 150);
}

TEST(MistakesPicture, KeepsProportions) {
  const std::vector<MistakenSample> wide = {{flat({100, 400, 3}, 77), "a", "b", 0.5}};
  EXPECT_EQ(count(mistakes_picture(wide), {77, 77, 77}), 168 * 42);
  const std::vector<MistakenSample> thread = {{flat({1, 4000, 1}, 77), "a", "b", 0.5}};
  EXPECT_EQ(count(mistakes_picture(thread), {77, 77, 77}), 168);
}

TEST(MistakesPicture, CaptionsNameBothClassesAndTheProbability) {
  const auto drawn = [](const char* truth, const char* predicted, double probability) {
    const std::vector<MistakenSample> samples = {{flat({28, 28, 1}, 90), truth, predicted, probability}};
    return mistakes_picture(samples);
  };
  const Picture first = drawn("cat", "dog", 0.97);
  EXPECT_TRUE(same(first, drawn("cat", "dog", 0.97)));
  EXPECT_FALSE(same(first, drawn("cow", "dog", 0.97)));
  EXPECT_FALSE(same(first, drawn("cat", "hen", 0.97)));
  EXPECT_FALSE(same(first, drawn("cat", "dog", 0.91)));
  // A long name is cut, its probability is not.
  const char* longest = "a name that is far longer than its picture is wide";
  EXPECT_FALSE(same(drawn("cat", longest, 0.97), drawn("cat", longest, 0.91)));
  EXPECT_EQ(drawn("cat", longest, 0.97).width(), first.width());
}

TEST(MistakesPicture, SaysWhenThereAreNone) {
  const Picture picture = mistakes_picture({});
  EXPECT_GT(count(picture, kWhite), 0);
  EXPECT_LT(count(picture, kWhite), picture.width() * picture.height());
}

TEST(MistakesPicture, StopsAtAPictureThatCanBeWritten) {
  const std::vector<MistakenSample> samples(1000, {flat({2, 2}, 90), "a", "b", 0.5});
  EXPECT_EQ(count(mistakes_picture(samples, 20), {90, 90, 90}), 400 * 168 * 168);
  EXPECT_EQ(count(mistakes_picture(samples, 1), {90, 90, 90}), 100 * 168 * 168);
}

TEST(MistakesPicture, RejectsWhatCannotBeDrawn) {
  const std::vector<MistakenSample> good = {{flat({2, 2}, 90), "a", "b", 0.5}},
                                    bad = {{Tensor(), "a", "b", 0.5}};
  EXPECT_THROW(mistakes_picture(good, 0), UsageError);
  EXPECT_THROW(mistakes_picture(bad), UsageError);
}

}  // namespace
}  // namespace convoy
