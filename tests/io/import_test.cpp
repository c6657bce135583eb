// Importers on good and damaged files.
#include "io/import/import.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <map>

#include "dataset_fixture.h"
#include "io/hdf5.h"
#include "io/inspect.h"
#include "io/png.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("zlib");
  std::string out(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string idx_images(std::uint32_t count, std::uint32_t rows = 6, std::uint32_t columns = 5) {
  std::string bytes = big_endian(0x0803) + big_endian(count) + big_endian(rows) + big_endian(columns);
  for (std::uint32_t i = 0; i < count; ++i) bytes += text_of(image_of(i, rows * columns));
  return bytes;
}

std::string idx_labels(std::uint32_t count) {
  std::string bytes = big_endian(0x0801) + big_endian(count);
  for (std::uint32_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

class ImportTest : public ::testing::Test {
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
  void put_png(const std::string& name, Shape shape, int value) const {
    fs::create_directories((source_.path() / name).parent_path());
    Tensor picture(shape, DType::u8);
    std::memset(picture.bytes(), value, picture.size_bytes());
    write_png(source_.path() / name, picture);
  }
  bool output_is_empty() const { return !fs::exists(output_.path()) || fs::is_empty(output_.path()); }

  TemporaryFolder source_, output_;
};

using ImportIdx = ImportTest;
using ImportCifar = ImportTest;
using ImportImageFolder = ImportTest;

TEST_F(ImportIdx, ReadsPlainAndGzipAlikeWhateverTheirNames) {
  put("train-images-idx3-ubyte.gz", gzip(idx_images(60)));
  put("train-labels-idx1-ubyte.gz", idx_labels(60));         // plain, in spite of its name
  put("t10k-images-idx3-ubyte", gzip(idx_images(25)));       // gzip, in spite of its name
  put("t10k-labels-idx1-ubyte", idx_labels(25));
  const ImportReport report = import_idx(options());
  ASSERT_EQ(report.splits.size(), 2u);
  EXPECT_EQ(report.splits[0].class_counts, std::vector<std::int64_t>(10, 6));
  for (const auto& [split, count] : {std::pair(Split::train, 60), std::pair(Split::test, 25)}) {
    const auto dataset = open_dataset(at(output_.path(), split));
    ASSERT_EQ(dataset->info().samples, count);
    EXPECT_EQ(dataset->info().sample, (Shape{6, 5, 1}));
    std::vector<std::byte> image(30);
    for (std::int64_t i = 0; i < count; ++i) {
      std::int32_t label = 0;
      dataset->read(i, image.data(), &label);
      ASSERT_EQ(image, image_of(i, 30));
      ASSERT_EQ(label, i % 10);
    }
  }
  // The test split carries the statistics of train.
  EXPECT_EQ(open_dataset(at(output_.path(), Split::test))->info().channel_mean,
            open_dataset(at(output_.path(), Split::train))->info().channel_mean);
  EXPECT_TRUE(inspect_verify(output_.path(), std::nullopt, {}).ok());
}

TEST_F(ImportIdx, ReadsSeveralGzipMembers) {
  const std::string images = idx_images(60);
  put("train-images-idx3-ubyte.gz", gzip(images.substr(0, 500)) + gzip(images.substr(500)));
  put("train-labels-idx1-ubyte", idx_labels(60));
  import_idx(options());
  std::vector<std::byte> image(30);
  std::int32_t label = 0;
  open_dataset(at(output_.path()))->read(59, image.data(), &label);
  EXPECT_EQ(image, image_of(59, 30));
}

TEST_F(ImportIdx, ReadsBigEndianFloats) {
  std::string bytes = big_endian(0x0D03) + big_endian(2) + big_endian(1) + big_endian(2);
  for (float value : {0.5f, -1.25f, 3e8f, 1e-20f}) {
    std::uint32_t word;
    std::memcpy(&word, &value, 4);
    bytes += big_endian(word);
  }
  put("train-images-idx3-float", bytes);
  put("train-labels-idx1-ubyte", idx_labels(2));
  import_idx(options());
  const auto dataset = open_dataset(at(output_.path()));
  float image[2];
  std::int32_t label = 0;
  dataset->read(1, reinterpret_cast<std::byte*>(image), &label);
  EXPECT_EQ(image[0], 3e8f);
  EXPECT_EQ(image[1], 1e-20f);
}

TEST_F(ImportIdx, EveryFaultIsOneErrorThatNamesTheFileAndLeavesNothing) {
  const std::string images = idx_images(60), labels = idx_labels(60), zipped = gzip(images);
  std::string bad_sum = zipped;
  bad_sum[bad_sum.size() - 6] = static_cast<char>(bad_sum[bad_sum.size() - 6] ^ 1);
  std::string out_of_range = labels;
  out_of_range[8 + 17] = 10;
  struct Case {
    std::string images, labels, file, words;
  };
  const std::vector<Case> cases{
      {"", labels, "images", "too short"},
      {images.substr(0, 10), labels, "images", "ends inside its header"},
      {images.substr(0, images.size() - 1), labels, "images", "more bytes than the 1799"},
      {images + "x", labels, "images", "fewer bytes than the 1801"},
      {big_endian(0x0804) + images.substr(4), labels, "images", "announces 4 axes, expected 3"},
      {big_endian(0x03080000) + images.substr(4), labels, "images", "little-endian"},
      {big_endian(0x0B03) + images.substr(4), labels, "images", "element type 0b"},
      {"hello" + images, labels, "images", "not an IDX file"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9912422\n", labels, "images", "Git LFS"},
      {idx_images(0), idx_labels(0), "images", "nothing to import"},
      {big_endian(0x0803) + std::string(12, '\xff'), labels, "images", "4294967295 x 4294967295 x 4294967295"},
      {zipped.substr(0, zipped.size() / 2), labels, "images", "cut short"},
      {bad_sum, labels, "images", "damaged"},
      {images, idx_labels(59), "labels", "holds 59 labels"},
      {images, out_of_range, "labels", "sample 17: label 10"},
      {images, labels.substr(0, 30), "labels", "more bytes"},
  };
  for (const Case& c : cases) {
    put("train-images-idx3-ubyte", c.images);
    put("train-labels-idx1-ubyte", c.labels);
    const std::string message = error_of<DataError>([&] { import_idx(options()); });
    EXPECT_HAS(message, "train-" + c.file + "-idx");
    EXPECT_HAS(message, c.words);
    EXPECT_TRUE(output_is_empty()) << c.words;
  }
}

TEST_F(ImportIdx, AFaultOfTheTestSplitLeavesNoTrainSplit) {
  put("train-images-idx3-ubyte", idx_images(60));
  put("train-labels-idx1-ubyte", idx_labels(60));
  put("t10k-images-idx3-ubyte", idx_images(20).substr(0, 400));
  put("t10k-labels-idx1-ubyte", idx_labels(20));
  EXPECT_THROW(import_idx(options()), DataError);
  EXPECT_TRUE(output_is_empty());
}

TEST_F(ImportIdx, OneThatEndedWhileItNamedItsShardsRunsAgain) {
  for (const char* name : {"train", "t10k"}) {
    put(std::string(name) + "-images-idx3-ubyte", idx_images(20));
    put(std::string(name) + "-labels-idx1-ubyte", idx_labels(20));
  }
  const fs::path obstacle = output_.path() / "train-00000-of-00001.h5";  // no file that the new one could replace
  fs::create_directories(obstacle / "inside");
  ImportOptions o = options();
  o.overwrite = true;
  EXPECT_THROW(import_idx(o), fs::filesystem_error);
  EXPECT_EQ(open_dataset(at(output_.path(), Split::test))->info().samples, 20);  // train comes last
  fs::remove_all(obstacle);
  import_idx(options());
  EXPECT_EQ(open_dataset(at(output_.path()))->info().samples, 20);
  EXPECT_HAS(error_of<UsageError>([&] { import_idx(options()); }), "--overwrite");
}

TEST_F(ImportIdx, MissingOrDoubleFilesAreErrors) {
  EXPECT_HAS(error_of<DataError>([&] { import_idx(options()); }), "no IDX images");
  put("train-images-idx3-ubyte", idx_images(10));
  EXPECT_HAS(error_of<DataError>([&] { import_idx(options()); }), "found 0");
  put("emnist-train-images-idx3-ubyte", idx_images(10));
  EXPECT_HAS(error_of<DataError>([&] { import_idx(options()); }), "two files of train images");
}

TEST_F(ImportIdx, ClassNamesAndShardsAreTheUsers) {
  put("train-images-idx3-ubyte", idx_images(60));
  put("train-labels-idx1-ubyte", idx_labels(60));
  ImportOptions o = options();
  o.shards = 7;
  o.class_names = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
  std::int64_t done = 0;
  o.progress = [&](const Progress& p) { done = p.done; };
  EXPECT_EQ(import_idx(o).splits[0].files.size(), 7u);
  EXPECT_EQ(done, 60);
  EXPECT_EQ(open_dataset(at(output_.path()))->info().class_names[10], "k");
}

TEST_F(ImportIdx, AnExistingSplitIsReplacedOnlyOnRequest) {
  put("train-images-idx3-ubyte", idx_images(60));
  put("train-labels-idx1-ubyte", idx_labels(60));
  import_idx(options());
  EXPECT_HAS(error_of<UsageError>([&] { import_idx(options()); }), "--overwrite");
  ImportOptions o = options();
  o.overwrite = true;
  o.shards = 2;
  import_idx(o);
  EXPECT_EQ(open_dataset(at(output_.path()))->info().shards, 2);
}

TEST(ImportOddInputs, EveryIdxFileGivesItsResultOrOneClearError) {
  const fs::path odd = fs::path(CONVOY_SHARED_DATA) / "odd-inputs" / "idx";
  if (!fs::exists(odd)) GTEST_SKIP() << "no folder " << odd << "; set -DCONVOY_SHARED_DATA=DIR";
  // Empty: imports as the good file does.
  const std::map<std::string, std::string> expected{
      {"good-images-idx3-ubyte", ""},
      {"good-images-idx3-ubyte.gz", ""},
      {"two_members-images-idx3-ubyte.gz", ""},
      {"not_gzip-images-idx3-ubyte.gz", ""},
      {"gzip_without_suffix-images-idx3-ubyte", ""},
      {"bad_magic-images-idx3-ubyte", "4 axes"},
      {"little_endian-images-idx3-ubyte", "little-endian"},
      {"short-images-idx3-ubyte", "more bytes than"},
      {"long-images-idx3-ubyte", "fewer bytes than"},
      {"count_too_big-images-idx3-ubyte", "201 x 28 x 28"},
      {"count_huge-images-idx3-ubyte", "4294967295 x 28 x 28"},
      {"overflow_dims-images-idx3-ubyte", "more bytes than"},
      {"no_images-images-idx3-ubyte", "nothing to import"},
      {"truncated-images-idx3-ubyte.gz", "cut short"},
      {"bad_crc-images-idx3-ubyte.gz", "damaged"},
      {"git_lfs_pointer-images-idx3-ubyte.gz", "Git LFS"},
      {"float32-images-idx3-float", ""},
      {"good-labels-idx1-ubyte", ""},
      {"good-labels-idx1-ubyte.gz", ""},
      {"no_images-labels-idx1-ubyte", "nothing to import"},
      {"labels_199-labels-idx1-ubyte", "holds 199 labels"},
      {"label_out_of_range-labels-idx1-ubyte", "sample 17: label 10"},
  };
  std::size_t seen = 0;
  std::string good_fingerprint;
  for (const auto& [name, words] : expected) {
    ASSERT_TRUE(fs::exists(odd / name)) << name;
    const bool is_labels = name.find("labels-") != std::string::npos;
    const TemporaryFolder source, output;
    const std::string ending = name.ends_with(".gz") ? ".gz" : "";
    fs::copy_file(odd / (is_labels ? "good-images-idx3-ubyte" : name), source.path() / ("train-images-idx3-x" + ending));
    fs::copy_file(odd / (is_labels ? name : "good-labels-idx1-ubyte"), source.path() / ("train-labels-idx1-x" + ending));
    ImportOptions o;
    o.source = source.path();
    o.output = output.path();
    const std::string message = error_of<DataError>([&] { import_idx(o); });
    EXPECT_HAS(message, words.empty() ? "nothing was thrown" : words);
    ++seen;
    if (!words.empty()) continue;
    const auto dataset = open_dataset(at(output.path()));
    EXPECT_EQ(dataset->info().samples, 200) << name;
    if (name.starts_with("float32")) continue;
    if (good_fingerprint.empty()) good_fingerprint = dataset->info().fingerprint;
    EXPECT_EQ(dataset->info().fingerprint, good_fingerprint) << name;
  }
  EXPECT_EQ(seen, static_cast<std::size_t>(std::distance(fs::directory_iterator(odd), fs::directory_iterator())))
      << "a file of odd-inputs/idx has no expectation here";
}

// README of the data: mean 72.9404 and deviation 90.0212 of the 60,000 training images.
TEST(ImportOddInputs, FashionMnistHasItsPublishedStatistics) {
  const fs::path fashion = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(fashion)) GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
  const TemporaryFolder output;
  ImportOptions o;
  o.source = fashion;
  o.output = output.path();
  const ImportReport report = import_idx(o);
  ASSERT_EQ(report.splits.size(), 2u);
  const auto train = open_dataset(at(output.path()));
  EXPECT_EQ(train->info().samples, 60000);
  EXPECT_NEAR(train->info().channel_mean[0], 72.9404, 5e-5);
  EXPECT_NEAR(train->info().channel_std[0], 90.0212, 5e-5);
  EXPECT_EQ(report.splits[0].class_counts, std::vector<std::int64_t>(10, 6000));
  EXPECT_EQ(open_dataset(at(output.path(), Split::test))->info().samples, 10000);
}

/// Records of CIFAR: planes of value 3 record + channel, with the label bytes in front.
std::string cifar_records(int first, int count, std::size_t label_bytes) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    if (label_bytes == 2) bytes += static_cast<char>(19);
    bytes += static_cast<char>(i % 10);
    for (int channel = 0; channel < 3; ++channel)
      for (int p = 0; p < 1024; ++p) bytes += static_cast<char>(3 * i + channel + (p == 33 ? 100 : 0));
  }
  return bytes;
}

TEST_F(ImportCifar, TenBecomesChannelsLastInTheOrderOfItsBatches) {
  for (int b : {1, 2, 10})
    put("cifar-10-batches-bin/data_batch_" + std::to_string(b) + ".bin", cifar_records(b == 10 ? 4 : 2 * (b - 1), 2, 1));
  put("cifar-10-batches-bin/test_batch.bin", cifar_records(20, 5, 1));
  put("cifar-10-batches-bin/batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  import_cifar10(options());
  const auto train = open_dataset(at(output_.path()));
  ASSERT_EQ(train->info().samples, 6);
  EXPECT_EQ(train->info().class_names[9], "truck");
  EXPECT_EQ(train->info().sample, (Shape{32, 32, 3}));
  std::vector<std::byte> image(3072);
  for (std::int64_t i = 0; i < 6; ++i) {
    std::int32_t label = 0;
    train->read(i, image.data(), &label);
    EXPECT_EQ(label, i);
    for (std::int64_t channel = 0; channel < 3; ++channel) {
      EXPECT_EQ(image[std::size_t(channel)], std::byte(3 * i + channel));
      EXPECT_EQ(image[std::size_t(3 * 33 + channel)], std::byte(3 * i + channel + 100));
    }
  }
  EXPECT_EQ(open_dataset(at(output_.path(), Split::test))->info().samples, 5);
}

TEST_F(ImportCifar, ColoursAreKnownByTheirPrincipalComponents) {
  put("data_batch_1.bin", cifar_records(0, 7, 1));
  import_cifar10(options());
  const auto train = open_dataset(at(output_.path()));
  const StatsReport stats = inspect_stats(*train, {});
  ASSERT_EQ(stats.color_values.size(), 3u);
  EXPECT_EQ(train->info().color_values, stats.color_values);
  EXPECT_EQ(train->info().color_vectors, stats.color_vectors);
}

TEST_F(ImportCifar, HundredTakesTheFineLabel) {
  put("train.bin", cifar_records(0, 3, 2));
  const ImportReport report = import_cifar100(options());
  EXPECT_EQ(report.splits.size(), 1u);
  const auto train = open_dataset(at(output_.path()));
  EXPECT_EQ(train->info().class_names.size(), 100u);
  EXPECT_EQ(train->label(2), 2);
}

TEST_F(ImportCifar, FaultsAreErrorsThatNameTheFile) {
  EXPECT_HAS(error_of<DataError>([&] { import_cifar10(options()); }), "data_batch_*.bin");
  put("data_batch_1.bin", cifar_records(0, 2, 1) + "x");
  EXPECT_HAS(error_of<DataError>([&] { import_cifar10(options()); }), "data_batch_1.bin: 6147 bytes");
  std::string wrong_label = cifar_records(0, 2, 1);
  wrong_label[3073] = 10;
  put("data_batch_1.bin", wrong_label);
  EXPECT_HAS(error_of<DataError>([&] { import_cifar10(options()); }), "data_batch_1.bin, record 1: label 10");
  put("data_batch_1.bin", cifar_records(0, 2, 1));
  put("batches.meta.txt", "one\ntwo\n");
  EXPECT_HAS(error_of<DataError>([&] { import_cifar10(options()); }), "batches.meta.txt: 2 class names");
  EXPECT_TRUE(output_is_empty());
}

TEST_F(ImportImageFolder, ReadsClassFoldersWithSplits) {
  for (int i = 0; i < 9; ++i) {
    put_png("train/zebra/" + std::to_string(i) + ".png", Shape{4, 5, 3}, 100 + i);
    put_png("train/Ape/" + std::to_string(i) + ".png", Shape{4, 5, 3}, i);
  }
  put_png("val/Ape/a.PNG", Shape{4, 5, 3}, 50);
  put_png("test/zebra/without-ending", Shape{4, 5, 3}, 60);
  put("train/Ape/.hidden.png", "x");
  put("train/Ape/Thumbs.db", "x");
  put("train/notes.txt", "x");
  const ImportReport report = import_image_folder(options());
  EXPECT_EQ(report.class_names, (std::vector<std::string>{"Ape", "zebra"}));
  EXPECT_EQ(report.hidden, 1);
  EXPECT_EQ(report.skipped.size(), 2u);
  const std::string rows = bytes_of(report.report_file);
  for (const char* name : {".hidden.png\tleft out\thidden", "Thumbs.db\tleft out\tnot a picture", "notes.txt\tleft out\tlies beside"})
    EXPECT_HAS(rows, name);
  const auto train = open_dataset(at(output_.path()));
  ASSERT_EQ(train->info().samples, 18);
  std::vector<std::byte> image(60);
  std::vector<int> seen(256);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < 18; ++i) {
    std::int32_t label = 0;
    train->read(i, image.data(), &label);
    EXPECT_EQ(label, image[0] >= std::byte{100} ? 1 : 0);
    ++seen[std::to_integer<std::size_t>(image[0])];
    labels.push_back(label);
  }
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(seen[std::size_t(i)] == 1 && seen[std::size_t(100 + i)] == 1);
  EXPECT_FALSE(std::is_sorted(labels.begin(), labels.end())) << "neighbours on disk are all of one class";
  EXPECT_EQ(open_dataset(at(output_.path(), Split::validation))->info().samples, 1);
  EXPECT_EQ(open_dataset(at(output_.path(), Split::test))->label(0), 1);
}

TEST_F(ImportImageFolder, ASingleFolderOfClassesIsTrain) {
  put_png("a/1.png", Shape{3, 3, 1}, 1);
  put_png("b/1.png", Shape{3, 3, 1}, 2);
  import_image_folder(options());
  EXPECT_EQ(open_dataset(at(output_.path()))->info().sample, (Shape{3, 3, 1}));
}

TEST_F(ImportImageFolder, BadFilesAreAllNamed) {
  put_png("a/1.png", Shape{3, 3, 1}, 1);
  put_png("a/2.png", Shape{3, 4, 1}, 1);
  put_png("b/3.png", Shape{3, 3, 3}, 1);
  put_png("b/4.png", Shape{3, 3, 1}, 1);
  put("b/5.jpg", "not a PNG");
  const std::string whole = bytes_of(source_.path() / "a/1.png");
  put("b/6.png", whole.substr(0, whole.size() / 2));
  ImportOptions o = options();
  o.class_names = {"a", "b"};
  o.encoding = "raw";
  const std::string message = error_of<DataError>([&] { import_image_folder(o); });
  EXPECT_HAS(message, "4 bad files");
  for (const char* name : {"5.jpg: not a picture", "6.png"}) EXPECT_HAS(message, name);
  EXPECT_EQ(std::distance(fs::directory_iterator(output_.path()), fs::directory_iterator()), 1) << "the report alone";
  EXPECT_HAS(bytes_of(output_.path() / "import-report.tsv"), "6.png\tbad\t");
  o.skip_bad = true;
  const ImportReport report = import_image_folder(o);
  EXPECT_EQ(report.skipped.size(), 4u);
  EXPECT_EQ(open_dataset(at(output_.path()))->info().samples, 2);
}

TEST_F(ImportImageFolder, UnknownClassesAndMissingFoldersAreErrors) {
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(options()); }), "no class folders");
  put_png("train/a/1.png", Shape{3, 3, 1}, 1);
  put_png("test/c/1.png", Shape{3, 3, 1}, 1);
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(options()); }), "a class that the train split does not have");
  ImportOptions o = options();
  o.class_names = {"a", "x"};
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(o); }), "\"x\"");
  o.source = source_.path() / "nowhere";
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(o); }), "no such folder");
}

TEST(Importers, AreFoundByName) {
  EXPECT_STREQ(find_importer("cifar100").name, "cifar100");
  EXPECT_HAS(error_of<UsageError>([] { find_importer("jpeg"); }), "idx, cifar10, cifar100, image-folder");
}

}  // namespace
}  // namespace convoy
