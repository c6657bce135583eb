// Foreign HDF5, and staging.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "dataset_fixture.h"
#include "io/hdf5.h"
#include "io/staging.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct Layout {
  std::vector<hsize_t> chunk;  // empty: contiguous
  bool gzip = false;
  hid_t type = H5T_STD_U8LE;
};

void write_images(hid_t file, const char* name, const std::vector<hsize_t>& extents, const Layout& layout) {
  const hdf5::Space space(CONVOY_HDF5(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr)));
  const hdf5::Properties creation(CONVOY_HDF5(H5Pcreate(H5P_DATASET_CREATE)));
  if (!layout.chunk.empty())
    CONVOY_HDF5(H5Pset_chunk(creation.get(), static_cast<int>(layout.chunk.size()), layout.chunk.data()));
  if (layout.gzip) CONVOY_HDF5(H5Pset_deflate(creation.get(), 4));
  const hdf5::Dataset dataset(
      CONVOY_HDF5(H5Dcreate2(file, name, layout.type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  std::int64_t sample = 1;
  for (std::size_t axis = 1; axis < extents.size(); ++axis) sample *= static_cast<std::int64_t>(extents[axis]);
  std::vector<std::uint8_t> pixels;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(extents[0]); ++i)
    for (std::int64_t p = 0; p < sample; ++p) pixels.push_back(pixel_of(i, p));
  CONVOY_HDF5(H5Dwrite(dataset.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels.data()));
}

template <typename T>
void write_labels(hid_t file, const char* name, const std::vector<T>& labels) {
  hdf5::write_dataset(file, name, Tensor::view(const_cast<T*>(labels.data()), Shape{std::int64_t(labels.size())}, dtype_of<T>()));
}

std::vector<std::int64_t> labels_of(std::int64_t count) {
  std::vector<std::int64_t> labels(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) labels[std::size_t(i)] = i % 10;
  return labels;
}

DatasetOptions foreign(const fs::path& path, Split split = Split::train, double validation = 0) {
  DatasetOptions options = at(path, split, validation);
  options.images = "/x/images";
  options.labels = "/y";
  return options;
}

class ForeignTest : public ::testing::Test {
 protected:
  fs::path make(const std::string& name, const std::vector<hsize_t>& extents, const Layout& layout = {}) const {
    const fs::path path = folder_.path() / name;
    hdf5::File file = hdf5::create_file(path);
    const hdf5::Group group(CONVOY_HDF5(H5Gcreate2(file.get(), "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
    write_images(group.get(), "images", extents, layout);
    write_labels(file.get(), "y", labels_of(static_cast<std::int64_t>(extents[0])));
    return path;
  }
  void expect_samples(const DatasetOptions& options, Shape sample, std::int64_t count) const {
    const auto dataset = open_dataset(options);
    ASSERT_EQ(dataset->info().samples, count);
    ASSERT_EQ(dataset->info().sample, sample);
    std::vector<std::byte> image(dataset->image_bytes());
    for (std::int64_t i = 0; i < count; ++i) {
      std::int32_t label = 0;
      dataset->read(i, image.data(), &label);
      ASSERT_EQ(image, image_of(i, sample.elements())) << "sample " << i;
      ASSERT_EQ(label, i % 10);
    }
  }
  TemporaryFolder folder_;
};

TEST_F(ForeignTest, EveryStorageLayoutGivesTheSameSamplesAndFingerprint) {
  const std::vector<hsize_t> extents{30, 4, 5, 3};
  const std::vector<Layout> layouts{{},
                                    {.chunk = {1, 4, 5, 3}},
                                    {.chunk = {7, 4, 5, 3}},
                                    {.chunk = {30, 4, 5, 3}},
                                    {.chunk = {4, 2, 5, 3}},
                                    {.chunk = {4, 4, 5, 3}, .gzip = true}};
  std::string fingerprint;
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const fs::path path = make("a" + std::to_string(i) + ".h5", extents, layouts[i]);
    expect_samples(foreign(path), Shape{4, 5, 3}, 30);
    const DatasetInfo info = open_dataset(foreign(path))->info();
    if (fingerprint.empty()) fingerprint = info.fingerprint;
    EXPECT_EQ(info.fingerprint, fingerprint) << "layout " << i;
    EXPECT_EQ(info.class_names.size(), 10u);
    EXPECT_TRUE(info.verified);
  }
}

TEST_F(ForeignTest, AnImportedSetHasTheSameFingerprintAsItsForeignOriginal) {
  const TemporaryFolder shards;
  make_split(shards.path(), Split::train, 30, 2, Shape{4, 5, 3});
  EXPECT_EQ(open_dataset(foreign(make("a.h5", {30, 4, 5, 3})))->info().fingerprint,
            open_dataset(at(shards.path()))->info().fingerprint);
}

TEST_F(ForeignTest, PicturesWithoutAChannelAxisHaveOneChannelAndVolumesAreRead) {
  expect_samples(foreign(make("gray.h5", {12, 6, 7})), Shape{6, 7, 1}, 12);
  expect_samples(foreign(make("volume.h5", {12, 3, 6, 7, 2})), Shape{3, 6, 7, 2}, 12);
  expect_samples(foreign(make("spectral.h5", {12, 8, 8, 9})), Shape{8, 8, 9}, 12);
}

TEST_F(ForeignTest, ChannelsFirstIsRefused) {
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(foreign(make("a.h5", {12, 3, 8, 8}))); }), "channels first");
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(foreign(make("b.h5", {12, 1, 8, 8}))); }), "moveaxis");
}

TEST_F(ForeignTest, FilesOfAFolderFollowEachOther) {
  make("b.h5", {10, 2, 2, 1});
  make("a.hdf5", {10, 2, 2, 1});
  const auto dataset = open_dataset(foreign(folder_.path()));
  EXPECT_EQ(dataset->info().samples, 20);
  EXPECT_HAS(dataset->where(9), "a.hdf5, sample 9");
  EXPECT_HAS(dataset->where(13), "b.h5, sample 3");
}

TEST_F(ForeignTest, FilesNamedAfterSplitsAreTakenForThem) {
  make("train_1.h5", {10, 2, 2, 1});
  make("train_2.h5", {10, 2, 2, 1});
  make("test.h5", {7, 2, 2, 1});
  EXPECT_EQ(open_dataset(foreign(folder_.path()))->info().samples, 20);
  EXPECT_EQ(open_dataset(foreign(folder_.path(), Split::test))->info().samples, 7);
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(foreign(folder_.path(), Split::validation)); }), "--data.validation");
  const auto kept = open_dataset(foreign(folder_.path(), Split::train, 0.5))->info().samples;
  EXPECT_EQ(open_dataset(foreign(folder_.path(), Split::validation, 0.5))->info().samples, 20 - kept);
  make("val.h5", {3, 2, 2, 1});
  EXPECT_EQ(open_dataset(foreign(folder_.path(), Split::validation, 0.5))->info().samples, 3);
  EXPECT_EQ(open_dataset(foreign(folder_.path(), Split::train, 0.5))->info().samples, 20);
}

TEST_F(ForeignTest, BigEndianFloatsAreConverted) {
  expect_samples(foreign(make("u16.h5", {5, 2, 2, 1})), Shape{2, 2, 1}, 5);
  const auto dataset = open_dataset(foreign(make("f.h5", {5, 2, 2, 1}, {.chunk = {}, .gzip = false, .type = H5T_IEEE_F32BE})));
  ASSERT_EQ(dataset->info().dtype, DType::f32);
  float image[4];
  std::int32_t label = 0;
  dataset->read(3, reinterpret_cast<std::byte*>(image), &label);
  for (int p = 0; p < 4; ++p) EXPECT_EQ(image[p], float(pixel_of(3, p)));
}

TEST_F(ForeignTest, LabelsOfAnyIntegerTypeAreReadAndWrongOnesRefused) {
  const fs::path path = make("a.h5", {3, 2, 2, 1});
  struct Case {
    const char* name;
    std::function<void(hid_t)> write;
    const char* words;
  };
  const std::vector<Case> cases{
      {"u8", [](hid_t f) { write_labels<std::uint8_t>(f, "u8", {0, 1, 255}); }, "nothing was thrown"},
      {"i32", [](hid_t f) { write_labels<std::int32_t>(f, "i32", {0, 1, 2}); }, "nothing was thrown"},
      {"column", [](hid_t f) { hdf5::write_dataset(f, "column", Tensor(Shape{3, 1}, DType::i64)); }, "nothing was thrown"},
      {"negative", [](hid_t f) { write_labels<std::int64_t>(f, "negative", {0, -1, 2}); }, "sample 1: label -1"},
      {"few", [](hid_t f) { write_labels<std::int64_t>(f, "few", {0, 1}); }, "expected one label for each of 3"},
      {"real", [](hid_t f) { write_labels<float>(f, "real", {0, 1, 2}); }, "must be integers"},
      {"hot", [](hid_t f) { hdf5::write_dataset(f, "hot", Tensor(Shape{3, 4}, DType::u8)); }, "expected one label"},
  };
  {
    const hdf5::File file = hdf5::open_to_change(path);
    for (const Case& c : cases) c.write(file.get());
  }
  for (const Case& c : cases) {
    DatasetOptions options = foreign(path);
    options.labels = c.name;
    EXPECT_HAS(error_of<DataError>([&] { open_dataset(options); }), c.words);
  }
}

TEST_F(ForeignTest, MissingNamesAreNamed) {
  DatasetOptions options = foreign(make("a.h5", {3, 2, 2, 1}));
  options.images = "/nothing";
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(options); }), "a.h5: there is no dataset \"/nothing\"");
  options.labels.clear();
  EXPECT_THROW(open_dataset(options), UsageError);
  EXPECT_THROW(open_dataset(foreign(folder_.path() / "none.h5")), DataError);
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder_.path() / "a.h5")); }), "folder");
}

TEST_F(ForeignTest, ASampleChangedAfterOpeningIsNoticed) {
  const fs::path path = make("a.h5", {10, 2, 2, 1});
  const auto dataset = open_dataset(foreign(path));
  std::int64_t offset = 0;
  {
    const hdf5::File file = hdf5::open_file(path);
    offset = static_cast<std::int64_t>(H5Dget_offset(hdf5::open_dataset(file.get(), "/x/images").get()));
  }
  flip_bit(path, offset + 4 * 6, 0);
  std::vector<std::byte> image(4);
  std::int32_t label = 0;
  EXPECT_HAS(error_of<DataError>([&] { dataset->read(6, image.data(), &label); }), "a.h5, sample 6: damaged");
}

class StagingTest : public ::testing::Test {
 protected:
  StagingTest() {
    for (int i = 0; i < 3; ++i) {
      files_.push_back(originals_.path() / ("f" + std::to_string(i)));
      write_bytes(files_.back(), std::string(std::size_t(100'000 * i), char('a' + i)));
    }
  }
  fs::path entry(const char* ending) const {
    for (const auto& e : fs::directory_iterator(stage_.path()))
      if (e.path().extension() == ending) return e.path();
    return {};
  }
  TemporaryFolder originals_, stage_;
  std::vector<fs::path> files_;
};

TEST_F(StagingTest, CopiesAndFindsTheCopiesAgain) {
  fs::file_time_type written;
  for (int round = 0; round < 2; ++round) {
    const Stage stage = Stage::copy(files_, stage_.path(), false);
    ASSERT_EQ(stage.files().size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(bytes_of(stage.files()[i]), bytes_of(files_[i]));
    if (round == 0) written = fs::last_write_time(stage.files()[2]);
    EXPECT_EQ(fs::last_write_time(stage.files()[2]), written);
  }
}

TEST_F(StagingTest, DamagedOrUnfinishedCopiesAreMadeAgain) {
  fs::path content;
  {
    const Stage stage = Stage::copy(files_, stage_.path(), false);
    content = stage.files()[1].parent_path();
  }
  flip_bit(content / "f1", 777, 4);
  EXPECT_EQ(bytes_of(Stage::copy(files_, stage_.path(), false).files()[1]), bytes_of(files_[1]));
  fs::remove(content / "manifest");
  write_bytes(content / "f2", "half");
  EXPECT_EQ(bytes_of(Stage::copy(files_, stage_.path(), false).files()[2]), bytes_of(files_[2]));
}

TEST_F(StagingTest, ChangedOriginalsAreCopiedAnew) {
  const fs::path before = Stage::copy(files_, stage_.path(), false).files()[0];
  write_bytes(files_[0], "now it holds something");
  const fs::path after = Stage::copy(files_, stage_.path(), false).files()[0];
  EXPECT_NE(before, after);
  EXPECT_EQ(bytes_of(after), "now it holds something");
}

TEST_F(StagingTest, TemporaryCopiesGoWithTheirLastUser) {
  {
    const Stage first = Stage::copy(files_, stage_.path(), true);
    {
      const Stage second = Stage::copy(files_, stage_.path(), true);
      EXPECT_EQ(second.files(), first.files());
    }
    EXPECT_TRUE(fs::exists(first.files()[0]));
  }
  EXPECT_TRUE(fs::is_empty(stage_.path()));
}

TEST_F(StagingTest, ProcessesOfANodeShareOneCopy) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      int status = 1;
      try {
        const Stage stage = Stage::copy(files_, stage_.path(), true);
        status = bytes_of(stage.files()[2]) == bytes_of(files_[2]) ? 0 : 2;
      } catch (...) {
        status = 3;
      }
      ::_exit(status);  // as a killed process: no destructor removes the copies
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

TEST_F(StagingTest, CopiesOfDeadProcessesAreCleared) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Stage stage = Stage::copy(files_, stage_.path(), true);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  const fs::path left_lock = entry(".lock");
  ASSERT_FALSE(left_lock.empty());
  write_bytes(files_[0], "other content, hence another key");
  const Stage stage = Stage::copy(files_, stage_.path(), true);
  EXPECT_FALSE(fs::exists(left_lock));
  EXPECT_FALSE(fs::exists(fs::path(left_lock).replace_extension()));
}

TEST_F(StagingTest, ADatasetIsReadFromItsStage) {
  make_split(originals_.path(), Split::train, 40, 2);
  DatasetOptions options = at(originals_.path());
  const std::string fingerprint = open_dataset(options)->info().fingerprint;
  options.stage = StageMode::disk;
  EXPECT_THROW(open_dataset(options), UsageError);
  options.stage_folder = stage_.path();
  const auto dataset = open_dataset(options);
  EXPECT_EQ(dataset->info().fingerprint, fingerprint);
  EXPECT_HAS(dataset->where(0), originals_.path().string());  // the file that the user knows
  for (const auto& entry : fs::directory_iterator(originals_.path())) fs::resize_file(entry.path(), 0);
  std::vector<std::byte> first(60);
  std::int32_t first_label = 0;
  dataset->read(0, first.data(), &first_label);  // the copy, for the original is gone
  EXPECT_EQ(first, image_of(0, 60));
}

TEST_F(StagingTest, CopiesInMemoryAreTheSameData) {
  make_split(originals_.path(), Split::train, 40, 2);
  DatasetOptions options = at(originals_.path());
  const std::string fingerprint = open_dataset(options)->info().fingerprint;
  for (StageMode mode : {StageMode::ram, StageMode::automatic}) {
    options.stage = mode;
    const auto staged = open_dataset(options);
    EXPECT_EQ(staged->info().fingerprint, fingerprint);
    std::vector<std::byte> image(60);
    std::int32_t label = 0;
    staged->read(33, image.data(), &label);
    EXPECT_EQ(image, image_of(33, 60));
  }
}

}  // namespace
}  // namespace convoy
