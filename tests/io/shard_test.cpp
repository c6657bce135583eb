// Shards: written, found, opened, damaged.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <thread>

#include "dataset_fixture.h"
#include "io/crc32c.h"
#include "io/hdf5.h"
#include "io/inspect.h"
#include "io/shard.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// Where the bytes of a dataset lie in its file.
std::int64_t offset_of(const fs::path& file, const char* dataset) {
  const hdf5::File opened = hdf5::open_file(file);
  return static_cast<std::int64_t>(H5Dget_offset(hdf5::open_dataset(opened.get(), dataset).get()));
}

TEST(Shards, ComeBackAsWritten) {
  const TemporaryFolder folder;
  const SplitReport report = make_split(folder.path(), Split::train, 103, 4);
  EXPECT_EQ(report.files.size(), 4u);
  EXPECT_EQ(report.files[3].filename(), "train-00003-of-00004.h5");
  const auto dataset = open_dataset(at(folder.path()));
  EXPECT_EQ(dataset->info().samples, 103);
  EXPECT_EQ(dataset->info().shards, 4);
  EXPECT_EQ(dataset->info().sample, (Shape{5, 4, 3}));
  EXPECT_EQ(dataset->info().class_names[7], "class 7");
  std::vector<std::byte> image(dataset->image_bytes());
  for (std::int64_t i = 0; i < 103; ++i) {
    std::int32_t label = -1;
    dataset->read(i, image.data(), &label);
    ASSERT_EQ(label, i % 10);
    ASSERT_EQ(image, image_of(i, 60)) << "sample " << i;
  }
}

TEST(Shards, HoldTheMeanAndDeviationOfEachChannel) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 50, 3);
  const auto dataset = open_dataset(at(folder.path()));
  for (std::int64_t channel = 0; channel < 3; ++channel) {
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < 50; ++i)
      for (std::int64_t p = channel; p < 60; p += 3) sum += pixel_of(i, p), squares += double(pixel_of(i, p)) * pixel_of(i, p);
    const double mean = sum / 1000;
    EXPECT_NEAR(dataset->info().channel_mean[std::size_t(channel)], mean, 1e-9);
    EXPECT_NEAR(dataset->info().channel_std[std::size_t(channel)], std::sqrt(squares / 1000 - mean * mean), 1e-9);
  }
}

TEST(Shards, AConstantChannelMayBeDividedBy) {
  const TemporaryFolder folder;
  ShardWriter writer(folder.path(), {.sample = {2, 2, 1}, .samples = 1, .class_names = {"only"}, .source = {}});
  writer.add(std::vector<std::byte>(4, std::byte{7}).data(), 0, "it");
  writer.seal(writer.channel_mean(), writer.channel_std());
  writer.commit();
  EXPECT_EQ(open_dataset(at(folder.path()))->info().channel_std, std::vector<double>{1});
}

TEST(Shards, AnyFlippedBitOfASampleIsNamed) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 2);
  const fs::path file = folder.path() / "train-00001-of-00002.h5";
  const std::int64_t start = offset_of(file, "images");
  std::uint32_t state = 12345;
  for (int trial = 0; trial < 25; ++trial) {
    state = state * 1664525 + 1013904223;
    const std::int64_t position = state % (20 * 60);
    flip_bit(file, start + position, static_cast<int>(state >> 29));
    const auto dataset = open_dataset(at(folder.path()));
    std::vector<std::byte> image(60);
    std::int32_t label = 0;
    for (std::int64_t i = 20; i < 40; ++i) {
      const bool is_damaged = i - 20 == position / 60;
      const std::string message = error_of<DataError>([&] { dataset->read(i, image.data(), &label); });
      const std::string expected = "train-00001-of-00002.h5, sample " + std::to_string(i - 20) + ": damaged";
      EXPECT_HAS(message, is_damaged ? expected : "nothing was thrown");
    }
    flip_bit(file, start + position, static_cast<int>(state >> 29));
  }
}

TEST(Shards, AFlippedBitOfLabelsOrChecksumsIsRefusedAtOpening) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 1);
  const fs::path file = folder.path() / "train-00000-of-00001.h5";
  for (const char* dataset : {"labels", "crc32c"}) {
    const std::int64_t offset = offset_of(file, dataset);
    flip_bit(file, offset + 17, 2);
    EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), dataset);
    flip_bit(file, offset + 17, 2);
  }
  EXPECT_NO_THROW(open_dataset(at(folder.path())));
}

// Every byte of the file that is not sample data, flipped: refused, or harmless.
TEST(Shards, NoFlippedBitOfTheFrameChangesWhatIsRead) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 3, 1, Shape{2, 2, 1});
  const fs::path file = folder.path() / "train-00000-of-00001.h5";
  const DatasetInfo before = open_dataset(at(folder.path()))->info();
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  std::uint32_t state = 99;
  int refused = 0;
  for (int trial = 0; trial < 400; ++trial) {
    state = state * 1664525 + 1013904223;
    const std::int64_t offset = static_cast<std::int64_t>(state >> 8) % size;
    flip_bit(file, offset, static_cast<int>(state & 7));
    try {
      const auto dataset = open_dataset(at(folder.path()));
      EXPECT_EQ(dataset->info().fingerprint, before.fingerprint) << "byte " << offset;
      EXPECT_EQ(dataset->info().class_names, before.class_names) << "byte " << offset;
      EXPECT_EQ(dataset->info().channel_mean, before.channel_mean) << "byte " << offset;
      for (std::int64_t i = 0; i < 3; ++i) {
        std::vector<std::byte> image(4);
        std::int32_t label = 0;
        dataset->read(i, image.data(), &label);
        EXPECT_EQ(image, image_of(i, 4)) << "byte " << offset;
        EXPECT_EQ(label, i);
      }
    } catch (const Error&) {
      ++refused;
    }
    flip_bit(file, offset, static_cast<int>(state & 7));
  }
  EXPECT_GT(refused, 20);
}

TEST(Shards, ACutFileIsRefused) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 2);
  const fs::path file = folder.path() / "train-00000-of-00002.h5";
  fs::resize_file(file, fs::file_size(file) - 100);
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "train-00000-of-00002.h5");
}

TEST(Shards, AMissingShardIsNamed) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 4);
  fs::remove(folder.path() / "train-00002-of-00004.h5");
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "train-00002-of-00004.h5");
}

TEST(Shards, ShardsOfTwoImportsDoNotMix) {
  const TemporaryFolder folder, other;
  make_split(folder.path(), Split::train, 40, 2, Shape{2, 2, 1});
  make_split(other.path(), Split::train, 40, 2, Shape{2, 2, 1});
  // The same set but for one sample.
  ShardWriter writer(other.path(), {.sample = {2, 2, 1}, .samples = 40, .shards = 2, .class_names = open_dataset(at(folder.path()))->info().class_names, .source = {}});
  for (std::int64_t i = 0; i < 40; ++i) writer.add(image_of(i == 3 ? 99 : i, 4).data(), 0, "it");
  const auto info = open_dataset(at(folder.path()))->info();
  writer.seal(info.channel_mean, info.channel_std);
  writer.commit();
  fs::copy_file(other.path() / "train-00001-of-00002.h5", folder.path() / "train-00001-of-00002.h5",
                fs::copy_options::overwrite_existing);
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "two imports");
}

TEST(Shards, ARenamedShardIsRefused) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 2);
  fs::rename(folder.path() / "train-00000-of-00002.h5", folder.path() / "x");
  fs::rename(folder.path() / "train-00001-of-00002.h5", folder.path() / "train-00000-of-00002.h5");
  fs::rename(folder.path() / "x", folder.path() / "train-00001-of-00002.h5");
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "renamed");
}

TEST(Shards, AnUnfinishedWriterLeavesNothingThatOpens) {
  const TemporaryFolder folder;
  {
    ShardWriter writer(folder.path(), {.sample = {2, 2, 1}, .samples = 10, .shards = 2, .class_names = {"a"}, .source = {}});
    for (int i = 0; i < 7; ++i) writer.add(image_of(i, 4).data(), 0, "it");
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "no train shards");
}

TEST(Shards, LeftoversOfAKilledWriterAreRemovedByTheNext) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "train-00000-of-00009.h5.partial") << "left behind";
  make_split(folder.path(), Split::train, 10, 1);
  EXPECT_FALSE(fs::exists(folder.path() / "train-00000-of-00009.h5.partial"));
  EXPECT_EQ(open_dataset(at(folder.path()))->info().samples, 10);
}

TEST(Shards, ANewSetReplacesTheOldOneWhole) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 4);
  make_split(folder.path(), Split::train, 30, 2);
  EXPECT_EQ(open_dataset(at(folder.path()))->info().samples, 30);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 2);
}

TEST(Shards, LabelsOutsideTheClassesAreNotWritten) {
  const TemporaryFolder folder;
  ShardWriter writer(folder.path(), {.sample = {2, 2, 1}, .samples = 2, .class_names = {"a", "b"}, .source = {}});
  EXPECT_HAS(error_of<DataError>([&] { writer.add(image_of(0, 4).data(), 2, "file x, sample 7"); }), "file x, sample 7: label 2");
}

TEST(Shards, FloatsThatAreNotFiniteAreNotWritten) {
  const TemporaryFolder folder;
  ShardWriter writer(folder.path(), {.sample = {1, 2, 1}, .dtype = DType::f32, .samples = 1, .class_names = {"a"}, .source = {}});
  const float image[2] = {1, NAN};
  EXPECT_THROW(writer.add(reinterpret_cast<const std::byte*>(image), 0, "it"), DataError);
}

TEST(Fingerprint, DoesNotDependOnTheNumberOfShards) {
  const TemporaryFolder one, many, other;
  make_split(one.path(), Split::train, 60, 1);
  make_split(many.path(), Split::train, 60, 7);
  make_split(other.path(), Split::train, 61, 1);
  const std::string fingerprint = open_dataset(at(one.path()))->info().fingerprint;
  EXPECT_EQ(fingerprint.size(), 64u);
  EXPECT_EQ(open_dataset(at(many.path()))->info().fingerprint, fingerprint);
  EXPECT_NE(open_dataset(at(other.path()))->info().fingerprint, fingerprint);
  EXPECT_NE(open_dataset(at(one.path(), Split::train, 0.1))->info().fingerprint, fingerprint);
}

TEST(Validation, TrainAndValidationPartitionTheStoredTrainSet) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 2000, 3, Shape{1, 1, 1});
  const auto train = open_dataset(at(folder.path(), Split::train, 0.1));
  const auto validation = open_dataset(at(folder.path(), Split::validation, 0.1));
  EXPECT_NEAR(static_cast<double>(validation->info().samples), 200, 45);  // 3.3 deviations
  std::vector<int> seen(2000);
  for (const Dataset* part : {train.get(), validation.get()})
    for (std::int64_t i = 0; i < part->info().samples; ++i) {
      ++seen[std::size_t(part->id(i))];
      std::byte pixel{};
      std::int32_t label = 0;
      part->read(i, &pixel, &label);
      EXPECT_EQ(label, part->id(i) % 10);
      EXPECT_EQ(pixel, image_of(part->id(i), 1)[0]);
    }
  EXPECT_EQ(seen, std::vector<int>(2000, 1));
}

TEST(Validation, AStoredSplitWins) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 100, 1, Shape{1, 1, 1});
  make_split(folder.path(), Split::validation, 20, 1, Shape{1, 1, 1});
  EXPECT_EQ(open_dataset(at(folder.path(), Split::train, 0.5))->info().samples, 100);
  EXPECT_EQ(open_dataset(at(folder.path(), Split::validation, 0.5))->info().samples, 20);
}

TEST(Validation, WithoutAShareAMissingSplitSaysHowToMendIt) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 100, 1, Shape{1, 1, 1});
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path(), Split::validation)); }), "--data.validation=0.1");
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path(), Split::test)); }), "found: train");
  EXPECT_THROW(open_dataset(at(folder.path(), Split::train, 1.0)), UsageError);
}

TEST(Inspect, VerifyNamesEveryBadSampleAndFile) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 40, 2);
  make_split(folder.path(), Split::test, 10, 1);
  EXPECT_TRUE(inspect_verify(folder.path(), std::nullopt, {}).ok());
  const fs::path first = folder.path() / "train-00000-of-00002.h5";
  const std::int64_t start = offset_of(first, "images");
  for (std::int64_t sample : {0, 7, 19}) flip_bit(first, start + sample * 60 + 5, 1);
  fs::resize_file(folder.path() / "test-00000-of-00001.h5", 500);
  const VerifyReport report = inspect_verify(folder.path(), std::nullopt, {});
  EXPECT_EQ(report.shards, 3);
  EXPECT_EQ(report.bad_samples, 3);
  ASSERT_EQ(report.problems.size(), 4u);
  EXPECT_EQ(report.problems[0].sample, 0);
  EXPECT_EQ(report.problems[1].sample, 7);
  EXPECT_EQ(report.problems[2].sample, 19);
  EXPECT_EQ(report.problems[3].file.filename(), "test-00000-of-00001.h5");
  EXPECT_EQ(inspect_verify(folder.path(), Split::train, {}).problems.size(), 3u);
}

TEST(Inspect, InfoAndStatsDescribeTheSet) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 45, 2, Shape{2, 2, 1});
  const auto infos = inspect_info(folder.path());
  ASSERT_EQ(infos.size(), 1u);
  EXPECT_EQ(infos[0].info.samples, 45);
  EXPECT_EQ(infos[0].source, "a test");
  EXPECT_EQ(infos[0].files.size(), 2u);
  const StatsReport stats = inspect_stats(*open_dataset(at(folder.path())), {});
  EXPECT_EQ(stats.class_counts[0], 5);
  EXPECT_EQ(stats.class_counts[9], 4);
  EXPECT_NEAR(stats.channels[0].mean, infos[0].info.channel_mean[0], 1e-12);
  EXPECT_NEAR(stats.channels[0].deviation, infos[0].info.channel_std[0], 1e-12);
  std::uint8_t least = 255, greatest = 0;
  for (std::int64_t i = 0; i < 45; ++i)
    for (std::int64_t p = 0; p < 4; ++p) least = std::min(least, pixel_of(i, p)), greatest = std::max(greatest, pixel_of(i, p));
  EXPECT_EQ(stats.channels[0].minimum, least);
  EXPECT_EQ(stats.channels[0].maximum, greatest);
}

TEST(Shards, AreReadByManyThreadsAtOnce) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 300, 3);
  const auto dataset = open_dataset(at(folder.path()));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::vector<std::byte> image(60);
      for (std::int64_t i = t; i < 300; ++i) {
        std::int32_t label = 0;
        dataset->read(i, image.data(), &label);
        if (image != image_of(i, 60) || label != i % 10) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Design, section 6: readable by h5py in two lines.
TEST(Shards, AreReadByH5pyInTwoLines) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) GTEST_SKIP() << "no /usr/bin/python3 with h5py";
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 20, 1);
  write_bytes(folder.path() / "read.py",
              "import h5py, sys\n"
              "f = h5py.File(sys.argv[1], 'r')\n"
              "print(f['images'].shape, f['images'][3].ravel()[:2], f['labels'][13], f.attrs['class_names'][2], f.attrs['num_samples'])\n");
  const std::string command = "/usr/bin/python3 '" + (folder.path() / "read.py").string() + "' '" +
                              (folder.path() / "train-00000-of-00001.h5").string() + "' > '" +
                              (folder.path() / "out").string() + "' 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << bytes_of(folder.path() / "out");
  const std::string out = bytes_of(folder.path() / "out");
  EXPECT_HAS(out, "(20, 5, 4, 3) [");
  EXPECT_HAS(out, std::to_string(pixel_of(3, 0)));
  EXPECT_HAS(out, std::to_string(pixel_of(3, 1)));
  EXPECT_HAS(out, " 3 b'class 2' 20");
}

}  // namespace
}  // namespace convoy
