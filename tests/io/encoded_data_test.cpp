// Encoded pictures as samples: views, and what the loader makes of them.
#include <gtest/gtest.h>

#include <cstring>

#include "dataset_fixture.h"
#include "io/hdf5.h"
#include "io/import/import.h"
#include "io/jpeg.h"
#include "io/loader.h"
#include "io/picture_bytes.h"
#include "io/png.h"
#include "io/resample.h"
#include "test_pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int kPictures = 12;

class EncodedData : public ::testing::Test {
 protected:
  EncodedData() {
    fs::create_directories(source_.path() / "a");
    for (int i = 0; i < kPictures; ++i) {
      const auto bytes = encode_jpeg(test_picture(120 + 17 * i, 260 - 11 * i, 3, i), 90);
      write_bytes(source_.path() / "a" / (std::to_string(10 + i) + ".jpg"), text_of_bytes(bytes));
    }
    import_to(folder_.path(), "jpeg");
  }
  void import_to(const fs::path& output, const std::string& encoding) const {
    ImportOptions options;
    options.source = source_.path();
    options.output = output;
    options.shards = 3;
    options.encoding = encoding;
    import_image_folder(options);
  }
  DatasetOptions viewed(std::int64_t height, std::int64_t width, std::int64_t resize_short = 0) const {
    DatasetOptions options = at(folder_.path());
    options.size[0] = height;
    options.size[1] = width;
    options.resize_short = resize_short;
    return options;
  }
  TemporaryFolder source_, folder_;
};

/// The view by decoding everything and resampling from full resolution.
Tensor slow_view(const Dataset& dataset, std::int64_t index, const PictureView& view, std::int64_t height, std::int64_t width) {
  std::vector<std::byte> bytes;
  std::int32_t label = 0;
  dataset.read_stored(index, bytes, &label);
  const Tensor picture = decode_picture(bytes, "a", 3);
  Tensor image(Shape{height, width, 3}, DType::u8);
  Resampler().run({picture.values<std::uint8_t>().data(), picture.shape()[1] * 3, picture.shape()[0], picture.shape()[1], 3}, view,
                  image.values<std::uint8_t>().data(), height, width);
  return image;
}

TEST_F(EncodedData, WithoutASizePicturesStayEncoded) {
  const auto dataset = open_dataset(at(folder_.path()));
  EXPECT_EQ(dataset->info().encoding, "jpeg");
  EXPECT_EQ(dataset->info().sample, (Shape{0, 0, 3}));
  std::byte none{};
  std::int32_t label = 0;
  EXPECT_HAS(error_of<UsageError>([&] { dataset->read(0, &none, &label); }), "--data.size");
}

TEST_F(EncodedData, AViewIsThePartOfThePictureAsked) {
  const auto dataset = open_dataset(viewed(64, 48));
  EXPECT_EQ(dataset->info().sample, (Shape{64, 48, 3}));
  Tensor image(Shape{64, 48, 3}, DType::u8);
  std::int32_t label = -1;
  for (std::int64_t i = 0; i < kPictures; ++i)
    // At full size to the pixel; at a half by libjpeg, whose inverse DCT is another filter, nearly.
    for (const auto& [view, tolerance] : {std::pair<PictureView, double>{{20.5, 31.25, 90, 80}, 0}, {{3, 5, 64, 48}, 0}, {{0, 0, 120, 100}, 0},
                                          {{-0.0, 0.0, 128, 96}, 3.0}}) {
      if (tolerance > 0 && i == 0) continue;  // not as high as that
      const PictureView asked = view;
      dataset->read_view(i, [&](std::int64_t, std::int64_t) { return asked; }, image.bytes(), &label);
      EXPECT_LE(mean_difference(image, slow_view(*dataset, i, view, 64, 48)), tolerance) << i;
    }
}

TEST_F(EncodedData, ReadingGivesTheCentre) {
  const auto plain = open_dataset(viewed(32, 32)), resized = open_dataset(viewed(32, 32, 40));
  Tensor image(Shape{32, 32, 3}, DType::u8);
  std::int32_t label = -1;
  for (std::int64_t i = 0; i < kPictures; ++i) {
    plain->read(i, image.bytes(), &label);
    EXPECT_EQ(label, 0);
    std::int64_t height = 0, width = 0;
    plain->read_view(i, [&](std::int64_t h, std::int64_t w) {
      height = h;
      width = w;
      return PictureView{0, 0, static_cast<double>(h), static_cast<double>(w)};
    }, image.bytes(), &label);
    const double side = static_cast<double>(std::min(height, width));
    const std::int64_t size[2] = {32, 32};
    const PictureView centre = centre_view(height, width, size, 0), inner = centre_view(height, width, size, 40);
    EXPECT_DOUBLE_EQ(centre.height, side);
    EXPECT_DOUBLE_EQ(centre.top + centre.height / 2, static_cast<double>(height) / 2);
    EXPECT_DOUBLE_EQ(inner.height, side * 32 / 40);
    resized->read(i, image.bytes(), &label);
    EXPECT_LT(mean_difference(image, slow_view(*plain, i, inner, 32, 32)), 4);
  }
  EXPECT_HAS(error_of<UsageError>([&] { open_dataset(viewed(32, 32, 31)); }), "data.resize-short is 31");
}

TEST_F(EncodedData, PixelsHaveViewsToo) {
  const TemporaryFolder raw;
  make_split(raw.path(), Split::train, 5, 1, Shape{20, 30, 3});
  DatasetOptions options = at(raw.path());
  const auto stored = open_dataset(options);
  options.size[0] = options.size[1] = 10;
  const auto dataset = open_dataset(options);
  EXPECT_EQ(dataset->info().fingerprint, stored->info().fingerprint);
  Tensor image(Shape{10, 10, 3}, DType::u8), whole(Shape{20, 30, 3}, DType::u8);
  std::int32_t label = 0;
  dataset->read_view(3, [](std::int64_t, std::int64_t) { return PictureView{5, 7, 10, 10}; }, image.bytes(), &label);
  stored->read(3, whole.bytes(), &label);
  for (std::size_t y = 0; y < 10; ++y)
    EXPECT_EQ(std::memcmp(image.bytes() + y * 30, whole.bytes() + ((5 + y) * 30 + 7) * 3, 30), 0);
}

TEST_F(EncodedData, PngPicturesAreSamplesToo) {
  const TemporaryFolder png;
  import_to(png.path(), "png");
  DatasetOptions options = viewed(40, 40);
  options.path = png.path();
  const auto dataset = open_dataset(options);
  EXPECT_EQ(dataset->info().encoding, "png");
  Tensor image(Shape{40, 40, 3}, DType::u8);
  std::int32_t label = 0;
  const PictureView view{10, 12, 70, 75};
  dataset->read_view(2, [&](std::int64_t, std::int64_t) { return view; }, image.bytes(), &label);
  EXPECT_EQ(mean_difference(image, slow_view(*dataset, 2, view, 40, 40)), 0);
}

TEST_F(EncodedData, DamageIsFoundWhenASampleIsRead) {
  const auto dataset = open_dataset(viewed(32, 32));
  const fs::path file = folder_.path() / "train-00001-of-00003.h5";
  std::int64_t offset = 0;
  {
    const hdf5::File opened = hdf5::open_file(file);
    offset = static_cast<std::int64_t>(H5Dget_offset(hdf5::open_dataset(opened.get(), "image_bytes").get()));
  }
  flip_bit(file, offset + 100, 3);
  std::vector<std::byte> image(32 * 32 * 3);
  std::int32_t label = 0;
  int damaged = 0;
  for (std::int64_t i = 0; i < kPictures; ++i) {
    const std::string message = error_of<DataError>([&] { dataset->read(i, image.data(), &label); });
    if (message == "nothing was thrown") continue;
    ++damaged;
    EXPECT_HAS(message, "train-00001-of-00003.h5, sample 0: damaged: its CRC-32C");
  }
  EXPECT_EQ(damaged, 1);
}

TEST_F(EncodedData, OffsetsThatDoNotFitAreRefused) {
  const fs::path file = folder_.path() / "train-00000-of-00003.h5";
  for (const std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{1} << 60}) {
    const std::string before = bytes_of(file);
    {
      const hdf5::File opened = hdf5::open_to_change(file);
      Tensor offsets = hdf5::read_dataset(opened.get(), "image_offsets").clone();
      offsets.values<std::uint64_t>()[1] = wrong;
      CONVOY_HDF5(H5Ldelete(opened.get(), "image_offsets", H5P_DEFAULT));
      hdf5::write_dataset(opened.get(), "image_offsets", offsets);  // with the checksum that fits
    }
    EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder_.path())); }), "image_offsets");
    write_bytes(file, before);
  }
}

TEST_F(EncodedData, AForeignReaderNeedsTwoDatasets) {
  // As h5py would: image i is image_bytes[image_offsets[i]:image_offsets[i + 1]].
  const hdf5::File file = hdf5::open_file(folder_.path() / "train-00000-of-00003.h5");
  const Tensor bytes = hdf5::read_dataset(file.get(), "image_bytes"), offsets = hdf5::read_dataset(file.get(), "image_offsets");
  EXPECT_EQ(bytes.dtype(), DType::u8);
  EXPECT_EQ(offsets.dtype(), DType::u64);
  EXPECT_EQ(hdf5::read_text(file.get(), "encoding"), "jpeg");
  const auto starts = offsets.values<std::uint64_t>();
  EXPECT_EQ(starts.back(), static_cast<std::uint64_t>(bytes.elements()));
  EXPECT_TRUE(is_jpeg({bytes.bytes() + starts[1], starts[2] - starts[1]}));
}

std::vector<std::string> batches_of(const Dataset& dataset, const AugmentOptions& augment, int virtual_workers, int threads,
                                    std::int64_t first_step = 0) {
  TrainingStream stream{.order_seed = 5, .augment = augment, .batch = 8, .virtual_workers = virtual_workers, .last_worker = virtual_workers,
                        .first_step = first_step, .last_step = 6};
  const auto loader = make_training_loader(dataset, stream, {.threads = threads});
  std::vector<std::string> samples;
  for (std::int64_t step = first_step; step < 6; ++step)
    for (int index = 0; index < virtual_workers; ++index) {
      const auto batch = loader->next(step, index);
      const std::size_t bytes = dataset.image_bytes();
      for (std::size_t row = 0; row < static_cast<std::size_t>(batch->labels.elements()); ++row)
        samples.emplace_back(reinterpret_cast<const char*>(batch->images.bytes()) + row * bytes, bytes);
    }
  return samples;
}

TEST_F(EncodedData, PixelsDependOnTheSampleAlone) {
  const auto dataset = open_dataset(viewed(40, 32));
  AugmentOptions augment{.flip = true, .seed = 9, .view = {.kind = ViewKind::random_resized_crop},
                         .color = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .noise = 0.1,
                                   .values = dataset->info().color_values, .vectors = dataset->info().color_vectors},
                         .cutout = 8};
  const auto alone = batches_of(*dataset, augment, 1, 0);
  for (int workers : {2, 8})
    for (int threads : {0, 1, 3}) EXPECT_TRUE(batches_of(*dataset, augment, workers, threads) == alone) << workers << " " << threads;
  const auto later = batches_of(*dataset, augment, 4, 2, 4);
  EXPECT_TRUE(std::equal(later.begin(), later.end(), alone.begin() + 32)) << "a run that was resumed sees the same";
  augment.seed = 10;
  EXPECT_FALSE(batches_of(*dataset, augment, 1, 0) == alone);
}

TEST_F(EncodedData, MixedSamplesHaveTwoLabelsWhoseWeightsSumToOne) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 1, Shape{6, 6, 3});
  const auto dataset = open_dataset(at(folder.path()));
  AugmentOptions plain, mixing;
  mixing.mixup = 0.7;
  for (const std::int64_t batch : {8, 5}) {  // five: the last has no partner
    TrainingStream stream{.order_seed = 5, .augment = plain, .batch = batch, .last_step = 4};
    const auto alone = make_training_loader(*dataset, stream, {.threads = 0});
    stream.augment = mixing;
    const auto mixed = make_training_loader(*dataset, stream, {.threads = 2});
    for (std::int64_t step = 0; step < 4; ++step) {
      const auto a = alone->next(step, 0), m = mixed->next(step, 0);
      for (std::size_t row = 0; row < static_cast<std::size_t>(batch); ++row) {
        const bool pairs = (row ^ 1) < static_cast<std::size_t>(batch);
        const std::size_t partner = pairs ? row ^ 1 : row;
        const float weight = m->weights.values<float>()[row];
        EXPECT_EQ(weight + m->partner_weights.values<float>()[row], 1.0f);
        EXPECT_EQ(m->labels.values<std::int32_t>()[row], a->labels.values<std::int32_t>()[row]);
        EXPECT_EQ(m->partner_labels.values<std::int32_t>()[row], a->labels.values<std::int32_t>()[partner]);
        EXPECT_EQ(pairs || weight == 1.0f, true);
        const auto x = a->images.values<std::uint8_t>(), y = m->images.values<std::uint8_t>();
        for (std::size_t i = 0; i < 108; ++i)
          EXPECT_NEAR(y[row * 108 + i], weight * x[row * 108 + i] + (1 - weight) * x[partner * 108 + i], 0.51);
        EXPECT_EQ(a->weights.values<float>()[row] + a->partner_weights.values<float>()[row], 1.0f);
      }
    }
  }
}

}  // namespace
}  // namespace convoy
