// Importing folders and lists of pictures that stay encoded: what is kept, what is converted, ranks, and going on.
#include <gtest/gtest.h>

#include <barrier>
#include <cstring>
#include <map>
#include <thread>

#include "dataset_fixture.h"
#include "io/import/import.h"
#include "io/inspect.h"
#include "io/jpeg.h"
#include "io/picture_bytes.h"
#include "io/png.h"
#include "test_pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class ImageImport : public ::testing::Test {
 protected:
  ImportOptions options() const {
    ImportOptions o;
    o.source = source_.path();
    o.output = output_.path();
    return o;
  }
  void put(const std::string& name, const std::string& bytes) const {
    fs::create_directories((source_.path() / name).parent_path());
    write_bytes(source_.path() / name, bytes);
  }
  void put_jpeg(const std::string& name, std::int64_t height, std::int64_t width, int seed = 0) const {
    put(name, text_of_bytes(encode_jpeg(test_picture(height, width, 3, seed), 90)));
  }
  /// `count` JPEGs in each of two classes, of many sizes.
  void put_many(int count) const {
    for (int i = 0; i < count; ++i) {
      put_jpeg("train/cat/" + std::to_string(i) + ".jpg", 40 + i, 60 - i, i);
      put_jpeg("train/dog/" + std::to_string(i) + ".jpg", 50, 30 + i, 100 + i);
    }
  }
  std::map<std::string, std::string> shards(const fs::path& folder) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".h5") files[entry.path().filename().string()] = bytes_of(entry.path());
    return files;
  }
  /// All stored pictures with their labels.
  std::multimap<std::string, std::int32_t> stored(Split split = Split::train) const {
    std::multimap<std::string, std::int32_t> all;
    const auto dataset = open_dataset(at(output_.path(), split));
    for (std::int64_t i = 0; i < dataset->info().samples; ++i) {
      std::vector<std::byte> bytes;
      std::int32_t label = -1;
      dataset->read_stored(i, bytes, &label);
      all.emplace(text_of_bytes(bytes), label);
    }
    return all;
  }

  TemporaryFolder source_, output_;
};

/// Ranks as threads: all_gather waits for all.
class ThreadRanks {
 public:
  explicit ThreadRanks(int count) : barrier_(count), texts_(static_cast<std::size_t>(count)) {}
  std::vector<std::string> all_gather(int rank, const std::string& mine) {
    texts_[static_cast<std::size_t>(rank)] = mine;
    barrier_.arrive_and_wait();
    std::vector<std::string> all = texts_;
    barrier_.arrive_and_wait();
    return all;
  }

 private:
  std::barrier<> barrier_;
  std::vector<std::string> texts_;
};

/// Runs the import on so many ranks; what each of them threw.
std::vector<std::string> import_on_ranks(const ImportOptions& base, int count) {
  ThreadRanks ranks(count);
  std::vector<std::string> errors(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      ImportOptions o = base;
      o.rank = rank;
      o.ranks = count;
      o.all_gather = [&ranks, rank](const std::string& mine) { return ranks.all_gather(rank, mine); };
      errors[static_cast<std::size_t>(rank)] = error_of([&] { import_image_folder(o); });
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

TEST_F(ImageImport, JpegsOfManySizesAreKeptAsTheyCame) {
  put_many(6);
  put_jpeg("val/dog/a.jpg", 33, 44);
  const ImportReport report = import_image_folder(options());
  EXPECT_EQ(report.encoding, "jpeg");
  EXPECT_EQ(report.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(report.splits.at(0).class_counts, (std::vector<std::int64_t>{6, 6}));
  EXPECT_EQ(report.bad + report.converted + report.kept_odd + report.left_out, 0);
  const auto all = stored();
  ASSERT_EQ(all.size(), 12u);
  for (int i = 0; i < 6; ++i) {
    const auto cat = all.find(bytes_of(source_.path() / ("train/cat/" + std::to_string(i) + ".jpg")));
    ASSERT_NE(cat, all.end());
    EXPECT_EQ(cat->second, 0);
  }
  EXPECT_EQ(stored(Split::validation).begin()->second, 1);
  EXPECT_TRUE(inspect_verify(output_.path(), std::nullopt, {}).ok());
  EXPECT_FALSE(fs::exists(output_.path() / ".import")) << "what the import needed for itself is gone";
}

TEST_F(ImageImport, StatisticsAreThoseOfThePixels) {
  put_many(4);
  import_image_folder(options());
  const auto dataset = open_dataset(at(output_.path()));
  const StatsReport stats = inspect_stats(*dataset, {});
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(dataset->info().channel_mean[c], stats.channels[c].mean, 1e-9);
    EXPECT_NEAR(dataset->info().channel_std[c], stats.channels[c].deviation, 1e-9);
  }
  // Eigenvectors: of unit length, and of the covariance: their values sum to the variances.
  ASSERT_EQ(dataset->info().color_values.size(), 3u);
  double variances = 0, values = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    variances += stats.channels[i].deviation * stats.channels[i].deviation;
    values += dataset->info().color_values[i];
    double length = 0;
    for (std::size_t k = 0; k < 3; ++k) length += dataset->info().color_vectors[3 * i + k] * dataset->info().color_vectors[3 * i + k];
    EXPECT_NEAR(length, 1, 1e-12);
    EXPECT_NEAR(stats.color_values[i], dataset->info().color_values[i], 1e-6);
  }
  EXPECT_NEAR(values, variances, 1e-6 * variances);
}

TEST_F(ImageImport, OddFilesAreConvertedAndNamed) {
  put_jpeg("a/plain.jpg", 40, 50);
  put("a/turned.jpg", with_orientation(text_of_bytes(encode_jpeg(test_picture(20, 30), 95)), 6));
  put("a/misnamed.jpg", text_of_bytes(encode_png(test_picture(25, 35))));
  const std::string whole = text_of_bytes(encode_jpeg(test_picture(40, 40), 90));
  put("a/unended.jpg", whole.substr(0, whole.size() - 2));
  put("a/stray.jpg", whole.substr(0, whole.size() - 2) + std::string(40, 'x') + "\xff\xd9");
  put("b/cut.jpg", whole.substr(0, whole.size() / 2));
  put("b/page.jpg", "<html>");
  put("b/anim.gif", "GIF89a....................");
  put_jpeg("b/good.jpg", 30, 30);
  ImportOptions o = options();
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(o); }), "3 bad files");
  EXPECT_TRUE(shards(output_.path()).empty());
  o.skip_bad = true;
  const ImportReport report = import_image_folder(o);
  EXPECT_EQ(report.bad, 3);
  EXPECT_EQ(report.converted, 3);
  const std::string rows = bytes_of(report.report_file);
  for (const char* row : {"turned.jpg\tconverted\tturned upright (EXIF orientation 6)", "misnamed.jpg\tconverted\ta PNG named .jpg",
                          "unended.jpg\tconverted\tthe end marker", "stray.jpg\tkept\tlibjpeg: ", "cut.jpg\tbad\t", "page.jpg\tbad\tnot a picture", "anim.gif\tbad\ta GIF"})
    EXPECT_HAS(rows, row);
  bool seen = false;
  for (const auto& [bytes, label] : stored()) {
    const Tensor picture = decode_picture({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "stored", 3);
    if (picture.shape() != Shape{30, 20, 3}) continue;
    seen = true;
    EXPECT_LT(mean_difference(picture, upright(test_picture(20, 30), 6)), 3);
  }
  EXPECT_TRUE(seen) << "the turned picture, upright";
}

TEST_F(ImageImport, PngsOfManySizesStayLossless) {
  for (int i = 0; i < 4; ++i) put("a/" + std::to_string(i) + ".png", text_of_bytes(encode_png(test_picture(20 + i, 30, 3, i))));
  const ImportReport report = import_image_folder(options());
  EXPECT_EQ(report.encoding, "png");
  for (const auto& [bytes, label] : stored()) {
    const Tensor picture = decode_picture({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "stored", 3);
    EXPECT_EQ(mean_difference(picture, test_picture(picture.shape()[0], 30, 3, static_cast<int>(picture.shape()[0] - 20))), 0);
  }
}

TEST_F(ImageImport, TheShorterSideIsBroughtToALength) {
  put_jpeg("a/tall.jpg", 300, 200);
  put_jpeg("a/small.jpg", 40, 50);
  ImportOptions o = options();
  o.resize_short = 100;
  import_image_folder(o);
  std::multimap<std::int64_t, std::int64_t> sizes;
  for (const auto& [bytes, label] : stored()) {
    const Tensor picture = decode_picture({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "stored", 3);
    sizes.emplace(picture.shape()[0], picture.shape()[1]);
  }
  EXPECT_EQ(sizes, (std::multimap<std::int64_t, std::int64_t>{{40, 50}, {150, 100}}));
}

TEST_F(ImageImport, PicturesOfOneSizeBecomePixels) {
  for (int i = 0; i < 5; ++i) put_jpeg("a/" + std::to_string(i) + ".jpg", 64, 64, i);
  ImportOptions o = options();
  o.encoding = "raw";
  o.resize_short = 32;
  const ImportReport report = import_image_folder(o);
  EXPECT_EQ(report.encoding, "");
  EXPECT_EQ(open_dataset(at(output_.path()))->info().sample, (Shape{32, 32, 3}));
}

TEST_F(ImageImport, AnyNumberOfRanksWritesTheSameShards) {
  put_many(10);
  put_jpeg("test/cat/a.jpg", 33, 44);
  ImportOptions o = options();
  o.shards = 5;
  put("train/cat/cut.jpg", "\xff\xd8\xff\xe0");
  put_jpeg("test/dog/a.jpg", 33, 44);
  put_jpeg("test/dog/b.jpg", 33, 44);
  for (int i = 0; i < 5; ++i) put_jpeg("test/cat/" + std::to_string(i) + ".jpg", 33, 44, i);
  o.skip_bad = true;
  import_image_folder(o);
  const auto alone = shards(output_.path());
  EXPECT_EQ(alone.size(), 10u);
  const std::string report = bytes_of(output_.path() / "import-report.tsv");
  for (int ranks : {2, 3, 7}) {
    const TemporaryFolder other;
    o.output = other.path();
    for (const std::string& error : import_on_ranks(o, ranks)) EXPECT_EQ(error, "nothing was thrown");
    EXPECT_TRUE(shards(other.path()) == alone) << ranks << " ranks";
    EXPECT_EQ(bytes_of(other.path() / "import-report.tsv"), report);
  }
}

TEST_F(ImageImport, AFailureOnOneRankIsThrownOnAll) {
  put_many(3);
  put("train/cat/cut.jpg", "\xff\xd8\xff\xe0");
  const auto errors = import_on_ranks(options(), 3);
  for (const std::string& error : errors) EXPECT_HAS(error, "1 bad files");
  EXPECT_TRUE(shards(output_.path()).empty());
}

TEST_F(ImageImport, WhatWasFinishedIsKeptAndVerified) {
  put_many(10);
  ImportOptions o = options();
  o.shards = 4;
  import_image_folder(o);
  const auto whole = shards(output_.path());
  // As an import leaves it that was cut off: lists, parts of the report and shards of which two are finished.
  const TemporaryFolder cut;
  o.output = cut.path();
  int made = 0;
  o.progress = [&](const Progress&) {
    if (++made == 3) throw LibraryError("cut off");
  };
  EXPECT_THROW(import_image_folder(o), LibraryError);
  o.progress = {};
  EXPECT_TRUE(shards(cut.path()).empty());
  ASSERT_TRUE(fs::exists(cut.path() / "train-00002-of-00004.h5.partial"));
  flip_bit(cut.path() / "train-00001-of-00004.h5.partial", 3000, 2);
  const std::string finished = bytes_of(cut.path() / "train-00002-of-00004.h5.partial");
  const ImportReport report = import_image_folder(o);
  EXPECT_EQ(report.resumed_shards, 2) << "the damaged one was made again";
  EXPECT_TRUE(shards(cut.path()) == whole);
}

TEST_F(ImageImport, OtherFilesOrOptionsBeginAnew) {
  put_many(6);
  ImportOptions o = options();
  o.shards = 3;
  const auto cut_off = [&] {
    o.progress = [](const Progress& progress) {
      if (progress.done == progress.total) throw LibraryError("cut off");
    };
    EXPECT_THROW(import_image_folder(o), LibraryError);
    o.progress = {};
  };
  cut_off();
  o.resize_short = 20;
  EXPECT_EQ(import_image_folder(o).resumed_shards, 0);
  o.overwrite = true;
  cut_off();
  EXPECT_EQ(import_image_folder(o).resumed_shards, 3);
  cut_off();
  cut_off();  // with resize_short = 20
  o.resize_short = 30;
  cut_off();
  o.resize_short = 20;
  EXPECT_EQ(import_image_folder(o).resumed_shards, 0) << "the shards that lie there are those of the import between";
  cut_off();
  put_jpeg("train/cat/0.jpg", 40, 60, 77);  // the same extents, another picture
  EXPECT_EQ(import_image_folder(o).resumed_shards, 0);
}

TEST_F(ImageImport, AListNamesFilesAndLabels) {
  put_jpeg("deep/one.jpg", 30, 40, 1);
  put_jpeg("two.jpg", 31, 40, 2);
  put("list.tsv", "deep/one.jpg\tzebra\n" + (source_.path() / "two.jpg").string() + "\tape\r\n\n");
  ImportOptions o = options();
  o.source = source_.path() / "list.tsv";
  const ImportReport report = import_image_folder(o);
  EXPECT_EQ(report.class_names, (std::vector<std::string>{"ape", "zebra"}));
  const auto all = stored();
  EXPECT_EQ(all.find(bytes_of(source_.path() / "deep/one.jpg"))->second, 1);
  o.overwrite = true;
  put("list.tsv", "deep/one.jpg\t2\ntwo.jpg\t0\n");
  EXPECT_EQ(import_image_folder(o).class_names, (std::vector<std::string>{"0", "1", "2"}));
  o.class_names = {"x", "y", "z"};
  EXPECT_EQ(import_image_folder(o).class_names.at(2), "z");
  put("list.tsv", "deep/one.jpg\t2\nnowhere.jpg\t1\n");
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(o); }), "nowhere.jpg");
  put("list.tsv", "deep/one.jpg 2\n");
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(o); }), "line 1: expected PATH, a tab");
  put("list.tsv", "deep/one.jpg\tw\n");
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(o); }), "label \"w\"");
}

TEST_F(ImageImport, AListOfTestPicturesGoesByTheTrainingSplit) {
  for (int i = 0; i < 3; ++i) put_jpeg(std::to_string(i) + ".jpg", 30 + i, 40, i);
  put("train.tsv", "0.jpg\tape\n1.jpg\tbee\n2.jpg\tcow\n");
  put("test.tsv", "2.jpg\tcow\n");
  ImportOptions o = options();
  o.source = source_.path() / "train.tsv";
  import_image_folder(o);
  o.source = source_.path() / "test.tsv";
  o.list_split = Split::test;
  EXPECT_EQ(import_image_folder(o).class_names, (std::vector<std::string>{"ape", "bee", "cow"}));
  const auto train = open_dataset(at(output_.path())), test = open_dataset(at(output_.path(), Split::test));
  EXPECT_EQ(test->label(0), 2);
  EXPECT_EQ(test->info().channel_mean, train->info().channel_mean);
  EXPECT_EQ(test->info().color_vectors, train->info().color_vectors);
  o.overwrite = true;
  o.class_names = {"cow"};
  EXPECT_HAS(error_of<UsageError>([&] { import_image_folder(o); }), "other classes");
}

TEST_F(ImageImport, OptionsThatAreNoneAreRefused) {
  put_many(1);
  ImportOptions o = options();
  o.encoding = "webp";
  EXPECT_HAS(error_of<UsageError>([&] { import_image_folder(o); }), "encoding");
  o.encoding = "jpeg";
  o.channels = 2;
  EXPECT_HAS(error_of<UsageError>([&] { import_image_folder(o); }), "channels");
  o.channels = 3;
  o.shards = 3;
  EXPECT_HAS(error_of<UsageError>([&] { import_image_folder(o); }), "2 samples cannot be cut into 3 shards");
  EXPECT_TRUE(fs::is_empty(output_.path()));
}

}  // namespace
}  // namespace convoy
