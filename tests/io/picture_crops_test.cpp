// Several images of one picture.
#include "io/picture_crops.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "dataset_fixture.h"
#include "io/import/import.h"
#include "io/jpeg.h"
#include "io/picture_bytes.h"
#include "io/resample.h"
#include "test_pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr PictureCrops squares(std::int64_t size) { return {PictureCrops::Plan::squares, {size, size}, 0}; }
constexpr PictureCrops corners(std::int64_t height, std::int64_t width, std::int64_t resize_short) {
  return {PictureCrops::Plan::corners, {height, width}, resize_short};
}

/// Where an image lies in its picture.
using Rectangle = std::array<double, 4>;  // top, left, height, width

std::vector<Rectangle> rectangles(const PictureCrops& crops, std::int64_t height, std::int64_t width) {
  std::vector<Rectangle> found;
  for (const CropSource& source : crop_sources(crops, height, width))
    for (const PixelBox& cut : source.cuts) {
      const double rows = source.view.height / static_cast<double>(source.height), columns = source.view.width / static_cast<double>(source.width);
      found.push_back({source.view.top + rows * static_cast<double>(cut.top), source.view.left + columns * static_cast<double>(cut.left),
                       rows * static_cast<double>(cut.height), columns * static_cast<double>(cut.width)});
    }
  return found;
}

void expect_same(const std::vector<Rectangle>& found, const std::vector<Rectangle>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    for (std::size_t edge = 0; edge < 4; ++edge) EXPECT_NEAR(found[i][edge], expected[i][edge], 1e-9) << "image " << i << ", edge " << edge;
}

TEST(PictureCrops, SquaresAreThoseOfAListMadeByHand) {
  // 480 x 640, of which 240 pixels of the picture are 128 at the side 256: 1.875 a pixel; 224 of them are 420.
  std::vector<Rectangle> expected;
  for (const double left : {0.0, 80.0, 160.0})
    for (const Rectangle& in_square : {Rectangle{30, 30, 420, 420}, {0, 0, 420, 420}, {0, 60, 420, 420}, {60, 0, 420, 420}, {60, 60, 420, 420},
                                       {0, 0, 480, 480}})
      expected.push_back({in_square[0], left + in_square[1], in_square[2], in_square[3]});
  std::vector<Rectangle> found = rectangles(squares(224), 480, 640);
  ASSERT_EQ(found.size(), 72U);
  expect_same({found.begin(), found.begin() + 18}, expected);
}

/// Szegedy et al. 2015, section 7, word by word, in coordinates of the picture.
std::vector<Rectangle> by_the_paper(std::int64_t height, std::int64_t width, const std::vector<int>& shorter_sides, double crop) {
  std::vector<Rectangle> all;
  const double side = static_cast<double>(std::min(height, width)), rest = static_cast<double>(std::max(height, width)) - side;
  for (const int shorter : shorter_sides) {
    const double pixel = side / shorter, room = shorter - crop;
    for (const double along : {0.0, rest / 2, rest}) {
      const double top = height > width ? along : 0, left = height > width ? 0 : along;
      all.push_back({top + pixel * std::floor(room / 2), left + pixel * std::floor(room / 2), pixel * crop, pixel * crop});
      for (const auto& [down, right] : {std::pair{0.0, 0.0}, {0.0, room}, {room, 0.0}, {room, room}})
        all.push_back({top + pixel * down, left + pixel * right, pixel * crop, pixel * crop});
      all.push_back({top, left, side, side});
    }
  }
  return all;
}

TEST(PictureCrops, SquaresAreThoseOfThePaper) {
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{375, 500}, {533, 400}, {711, 400}, {256, 256}, {31, 17}, {5, 4000}})
    expect_same(rectangles(squares(224), height, width), by_the_paper(height, width, {256, 288, 320, 352}, 224));
  // In proportion: 28 x 256 / 224 = 32; 32 x 256 / 224 = 36.57, 41.14, 45.71, 50.29; 227 x .. = 259.43, 291.86, 324.29, 356.71.
  expect_same(rectangles(squares(28), 60, 90), by_the_paper(60, 90, {32, 36, 40, 44}, 28));
  expect_same(rectangles(squares(32), 60, 90), by_the_paper(60, 90, {37, 41, 46, 50}, 32));
  expect_same(rectangles(squares(227), 60, 90), by_the_paper(60, 90, {259, 292, 324, 357}, 227));
}

TEST(PictureCrops, CornersLieAtTheCornersOfThePictureAndTheMiddleIsThatOfEvaluation) {
  // The shorter side of 400 becomes 40: ten pixels each.
  expect_same(rectangles(corners(20, 30, 40), 400, 700),
              {{100, 200, 200, 300}, {0, 0, 200, 300}, {0, 400, 200, 300}, {200, 0, 200, 300}, {200, 400, 200, 300}});
  const std::int64_t size[2] = {20, 30};
  const PictureView middle = centre_view(333, 257, size, 40);
  expect_same({rectangles(corners(20, 30, 40), 333, 257).front()}, {{middle.top, middle.left, middle.height, middle.width}});
}

TEST(PictureCrops, WhatHasNoSuchCropsIsRefused) {
  DatasetInfo pictures;
  pictures.stored = Shape{40, 40, 3};
  check_crops(pictures, squares(28));
  check_crops(pictures, corners(24, 32, 32));
  const auto message = [](const DatasetInfo& info, const PictureCrops& crops) {
    return error_of<UsageError>([&] { check_crops(info, crops); });
  };
  EXPECT_HAS(message(pictures, {PictureCrops::Plan::squares, {24, 28}, 0}), "the model takes 24 x 28");
  EXPECT_HAS(message(pictures, corners(28, 28, 28)), "data.resize-short is 28");
  EXPECT_HAS(message(pictures, corners(28, 40, 36)), "data.resize-short is 36");
  EXPECT_HAS(message(pictures, squares(0)), "crops of 0 x 0");
  pictures.dtype = DType::u16;
  EXPECT_HAS(message(pictures, squares(28)), "uint16");
  pictures.dtype = DType::u8;
  pictures.stored = Shape{8, 40, 40, 1};
  EXPECT_HAS(message(pictures, squares(28)), "uint8 [h, w, c]");
}

/// The images by the slow road: the whole picture brought to each size, and cut to pieces.
std::vector<Tensor> slow_squares(const Tensor& picture, std::int64_t size, const std::vector<std::int64_t>& shorter_sides) {
  const std::int64_t height = picture.shape()[0], width = picture.shape()[1], channels = picture.shape()[2];
  const double side = static_cast<double>(std::min(height, width));
  const auto resampled = [&](const Tensor& from, const PictureView& view, std::int64_t extent) {
    Tensor image(Shape{extent, extent, channels}, DType::u8);
    Resampler().run({from.values<std::uint8_t>().data(), from.shape()[1] * channels, from.shape()[0], from.shape()[1], static_cast<int>(channels)},
                    view, image.values<std::uint8_t>().data(), extent, extent);
    return image;
  };
  std::vector<Tensor> images;
  for (const std::int64_t shorter : shorter_sides)
    for (const double place : {0.0, 0.5, 1.0}) {
      const Tensor square = resampled(picture, {place * (static_cast<double>(height) - side), place * (static_cast<double>(width) - side), side, side}, shorter);
      const std::int64_t room = shorter - size;
      for (const auto& [top, left] : {std::pair{room / 2, room / 2}, {std::int64_t{0}, std::int64_t{0}}, {std::int64_t{0}, room},
                                      {room, std::int64_t{0}}, {room, room}}) {
        images.emplace_back(Shape{size, size, channels}, DType::u8);
        for (std::int64_t y = 0; y < size; ++y)
          std::memcpy(images.back().bytes() + y * size * channels, square.bytes() + ((top + y) * shorter + left) * channels,
                      static_cast<std::size_t>(size * channels));
      }
      images.push_back(resampled(square, {0, 0, static_cast<double>(shorter), static_cast<double>(shorter)}, size));
    }
  return images;
}

/// Counts what is read.
class Counted : public Dataset {
 public:
  explicit Counted(const Dataset& of) : of_(of) {}
  const DatasetInfo& info() const override { return of_.info(); }
  std::size_t image_bytes() const override { return of_.image_bytes(); }
  void read(std::int64_t, std::byte*, std::int32_t*) const override { ++reads; }
  void read_view(std::int64_t, const ChooseView&, std::byte*, std::int32_t*) const override { ++reads; }
  void read_stored(std::int64_t index, std::vector<std::byte>& bytes, std::int32_t* label) const override {
    ++reads;
    of_.read_stored(index, bytes, label);
  }
  std::int32_t label(std::int64_t index) const override { return of_.label(index); }
  std::int64_t id(std::int64_t index) const override { return of_.id(index); }
  std::string where(std::int64_t index) const override { return of_.where(index); }
  mutable int reads = 0;

 private:
  const Dataset& of_;
};

Tensor stored_picture(const Dataset& dataset, std::int64_t index) {
  std::vector<std::byte> bytes;
  std::int32_t label = 0;
  dataset.read_stored(index, bytes, &label);
  const DatasetInfo& info = dataset.info();
  if (!info.encoding.empty()) return decode_picture(bytes, "a", 3);
  Tensor picture(info.stored, DType::u8);
  std::memcpy(picture.bytes(), bytes.data(), bytes.size());
  return picture;
}

/// `most`: mean difference of an image to the slow road's.
void expect_slow_squares(const Dataset& pictures, std::int64_t size, const std::vector<std::int64_t>& shorter_sides, double most = 0) {
  const Counted counted(pictures);
  const auto cropped = make_cropped_dataset(counted, squares(size));
  const Shape& shape = cropped->info().sample;
  ASSERT_EQ(shape, (Shape{72, size, size, pictures.info().stored[2]}));
  for (std::int64_t i = 0; i < pictures.info().samples; ++i) {
    Tensor images(shape, DType::u8);
    std::int32_t label = -1;
    counted.reads = 0;
    cropped->read(i, images.bytes(), &label);
    EXPECT_EQ(counted.reads, 1) << "a picture is read once for all of its images";
    EXPECT_EQ(label, pictures.label(i));
    const std::vector<Tensor> expected = slow_squares(stored_picture(pictures, i), size, shorter_sides);
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const Tensor image = Tensor::view(images.bytes() + k * expected[k].size_bytes(), expected[k].shape(), DType::u8);
      EXPECT_LE(mean_difference(image, expected[k]), most) << "sample " << i << ", image " << k;
    }
  }
}

TEST(PictureCrops, OfPixelsAreThoseOfTheSlowRoadAlsoWhereThePictureIsEnlarged) {
  for (const Shape& shape : {Shape{40, 60, 3}, Shape{90, 41, 1}, Shape{5, 7, 4}, Shape{28, 28, 3}}) {
    const TemporaryFolder folder;
    make_split(folder.path(), Split::train, 3, 1, shape);
    expect_slow_squares(*open_dataset(at(folder.path())), 28, {32, 36, 40, 44});
    DatasetOptions viewed = at(folder.path());
    viewed.size[0] = viewed.size[1] = 28;
    expect_slow_squares(*open_dataset(viewed), 28, {32, 36, 40, 44});  // the picture, not the view of it
  }
}

/// Pictures of 120 x 170 and so on, above and below what libjpeg decodes at a half.
class EncodedCrops : public testing::TestWithParam<const char*> {
 protected:
  EncodedCrops() {
    fs::create_directories(source_.path() / "a");
    for (int i = 0; i < 5; ++i)
      write_bytes(source_.path() / "a" / (std::to_string(i) + ".jpg"),
                  text_of_bytes(encode_jpeg(test_picture(20 + 51 * i, 230 - 40 * i, 3, i), 90)));
    ImportOptions options;
    options.source = source_.path();
    options.output = folder_.path();
    options.shards = 1;
    options.encoding = GetParam();
    import_image_folder(options);
  }
  std::unique_ptr<Dataset> open(std::int64_t size, std::int64_t resize_short) const {
    DatasetOptions options = at(folder_.path());
    options.size[0] = options.size[1] = size;
    options.resize_short = resize_short;
    return open_dataset(options);
  }
  TemporaryFolder source_, folder_;
};

TEST_P(EncodedCrops, AreThoseOfTheSlowRoad) {
  expect_slow_squares(*open(112, 0), 112, {128, 144, 160, 176});
  // At a half of 224 x 70 or so by libjpeg, whose inverse DCT is another filter.
  expect_slow_squares(*open(14, 0), 14, {16, 18, 20, 22}, GetParam() == std::string("jpeg") ? 5 : 0);
}

TEST_P(EncodedCrops, TheMiddleOfTenIsWhatEvaluationSees) {
  const auto pictures = open(24, 32);
  const auto cropped = make_cropped_dataset(*pictures, corners(24, 24, 32));
  Tensor images(cropped->info().sample, DType::u8), middle(Shape{24, 24, 3}, DType::u8);
  ASSERT_EQ(images.shape(), (Shape{5, 24, 24, 3}));
  std::int32_t label = 0;
  for (std::int64_t i = 0; i < pictures->info().samples; ++i) {
    cropped->read(i, images.bytes(), &label);
    pictures->read(i, middle.bytes(), &label);
    const Tensor first = Tensor::view(images.bytes(), middle.shape(), DType::u8);
    EXPECT_LE(mean_difference(first, middle), 0.01) << i;
    for (std::size_t k = 1; k < 5; ++k)
      EXPECT_GT(mean_difference(Tensor::view(images.bytes() + k * middle.size_bytes(), middle.shape(), DType::u8), middle), 1) << i;
  }
}

TEST_P(EncodedCrops, NameThePictureThatIsDamaged) {
  const fs::path file = folder_.path() / "train-00000-of-00001.h5";
  std::string bytes = bytes_of(file);
  const auto pictures = open(28, 32);
  std::vector<std::byte> stored;
  std::int32_t label = 0;
  pictures->read_stored(3, stored, &label);
  const std::size_t at = bytes.find(text_of_bytes(stored));
  ASSERT_NE(at, std::string::npos);
  bytes[at + stored.size() / 2] = static_cast<char>(bytes[at + stored.size() / 2] ^ 8);
  write_bytes(file, bytes);
  const auto cropped = make_cropped_dataset(*pictures, squares(28));
  std::vector<std::byte> images(cropped->image_bytes());
  cropped->read(2, images.data(), &label);
  EXPECT_HAS(error_of<DataError>([&] { cropped->read(3, images.data(), &label); }), "sample 3: damaged");
}

INSTANTIATE_TEST_SUITE_P(All, EncodedCrops, testing::Values("jpeg", "png"), [](const auto& encoding) { return std::string(encoding.param); });

TEST(PictureCrops, OfPhotographsAreThoseOfTheSlowRoad) {
  const fs::path photographs = fs::path(CONVOY_SHARED_DATA) / "clothing-photos" / "val" / "hat";
  if (!fs::is_directory(photographs)) GTEST_SKIP() << photographs << " is not here";
  const TemporaryFolder source, folder;
  fs::create_directories(source.path() / "val");
  fs::copy(photographs, source.path() / "val" / "hat");
  ImportOptions options;
  options.source = source.path();
  options.output = folder.path();
  import_image_folder(options);
  DatasetOptions viewed = at(folder.path(), Split::validation);
  viewed.size[0] = viewed.size[1] = 224;
  expect_slow_squares(*open_dataset(viewed), 224, {256, 288, 320, 352});
}

}  // namespace
}  // namespace convoy
