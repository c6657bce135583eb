// Data sets made to lead astray, or damaged beyond what HDF5 itself survives: they are refused, in one message.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>

#include "dataset_fixture.h"
#include "io/hdf5.h"
#include "io/import/import.h"
#include "io/inspect.h"
#include "io/rehearsal.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

DatasetOptions foreign(const fs::path& path) {
  DatasetOptions options = at(path);
  options.images = "/x";
  options.labels = "/y";
  return options;
}

/// A file of four images of 2 x 2 pixels and their labels, of which `change` makes something else.
class HostileForeign : public ::testing::Test {
 protected:
  HostileForeign() {
    make("other.h5");
    make("data.h5");
  }
  void make(const char* name) const {
    const hdf5::File file = hdf5::create_file(path(name));
    hdf5::write_dataset(file.get(), "x", Tensor(Shape{4, 2, 2}, DType::u8));
    hdf5::write_dataset(file.get(), "y", Tensor(Shape{4}, DType::i32));
  }
  fs::path path(const char* name) const { return folder_.path() / name; }
  /// The message with which the file is refused once `change` has replaced /x.
  std::string refusal(const std::function<void(hid_t file)>& change) const {
    {
      const hdf5::File file = hdf5::open_to_change(path("data.h5"));
      EXPECT_GE(H5Ldelete(file.get(), "x", H5P_DEFAULT), 0);
      change(file.get());
    }
    return error_of<DataError>([&] { open_dataset(foreign(path("data.h5"))); });
  }
  static void create(hid_t file, const std::vector<hsize_t>& extents, const hdf5::Properties& creation, hid_t type = H5T_STD_U8LE) {
    const hdf5::Space space(CONVOY_HDF5(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr)));
    const hdf5::Dataset made(CONVOY_HDF5(H5Dcreate2(file, "x", type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  }
  static hdf5::Properties creation() { return hdf5::Properties(CONVOY_HDF5(H5Pcreate(H5P_DATASET_CREATE))); }

  TemporaryFolder folder_;
};

TEST_F(HostileForeign, AnExternalLinkIsNotFollowed) {
  const auto change = [](hid_t file) { H5Lcreate_external("other.h5", "/x", file, "x", H5P_DEFAULT, H5P_DEFAULT); };
  EXPECT_HAS(refusal(change), "\"/x\" is a link into another file");
}

TEST_F(HostileForeign, ASoftLinkToAnExternalLinkIsNotFollowed) {
  const auto change = [](hid_t file) {
    H5Lcreate_external("other.h5", "/", file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/elsewhere/x", file, "x", H5P_DEFAULT, H5P_DEFAULT);
  };
  EXPECT_HAS(refusal(change), "there is no dataset \"/x\"");
}

TEST_F(HostileForeign, ASoftLinkWithinTheFileIsFollowed) {
  const auto change = [](hid_t file) {
    hdf5::write_dataset(file, "stored", Tensor(Shape{4, 2, 2}, DType::u8));
    H5Lcreate_soft("/stored", file, "x", H5P_DEFAULT, H5P_DEFAULT);
  };
  EXPECT_EQ(refusal(change), "nothing was thrown");
}

TEST_F(HostileForeign, BytesInAnotherFileAreNotRead) {
  write_bytes(path("secret"), std::string(16, 's'));
  const auto change = [&](hid_t file) {
    const hdf5::Properties list = creation();
    CONVOY_HDF5(H5Pset_external(list.get(), path("secret").c_str(), 0, 16));
    create(file, {4, 2, 2}, list);
  };
  EXPECT_HAS(refusal(change), "its bytes lie in another file");
}

TEST_F(HostileForeign, AVirtualDatasetIsNotRead) {
  const auto change = [&](hid_t file) {
    const hdf5::Properties list = creation();
    const hsize_t extents[] = {4, 2, 2};
    const hdf5::Space space(CONVOY_HDF5(H5Screate_simple(3, extents, nullptr)));
    CONVOY_HDF5(H5Pset_virtual(list.get(), space.get(), "other.h5", "/x", space.get()));
    create(file, {4, 2, 2}, list);
  };
  EXPECT_HAS(refusal(change), "a virtual dataset");
}

TEST_F(HostileForeign, AFilterThatIsAPluginIsNamedAndNotLoaded) {
  const auto change = [&](hid_t file) {
    const hdf5::Properties list = creation();
    const hsize_t chunk[] = {1, 2, 2};
    CONVOY_HDF5(H5Pset_chunk(list.get(), 3, chunk));
    CONVOY_HDF5(H5Pset_filter(list.get(), 32001, H5Z_FLAG_OPTIONAL, 0, nullptr));
    create(file, {4, 2, 2}, list);
  };
  EXPECT_HAS(refusal(change), "packed by blosc, a plugin");
}

TEST_F(HostileForeign, ExtentsThatTheFileCannotHoldTakeNoMemory) {
  const auto chunked = [&](hid_t file) {
    const hdf5::Properties list = creation();
    const hsize_t chunk[] = {1, 1024, 1024};
    CONVOY_HDF5(H5Pset_chunk(list.get(), 3, chunk));
    create(file, {hsize_t{1} << 31, 1024, 1024}, list);
  };
  EXPECT_HAS(refusal(chunked), "in a file of");
  make("data.h5");
  const auto contiguous = [&](hid_t file) { create(file, {hsize_t{1} << 31, 1024, 1024}, creation()); };
  EXPECT_HAS(refusal(contiguous), "nothing was ever written");
}

TEST_F(HostileForeign, ChunksThatWereNeverWrittenAreNotTakenForBlackImages) {
  const auto change = [&](hid_t file) {
    const hdf5::Properties list = creation();
    const hsize_t chunk[] = {1, 2, 2};
    CONVOY_HDF5(H5Pset_chunk(list.get(), 3, chunk));
    create(file, {4, 2, 2}, list);
    const hdf5::Dataset images = hdf5::open_dataset(file, "x");
    Tensor first(Shape{1, 2, 2}, DType::u8);
    hdf5::write_rows(images, 0, first);
  };
  EXPECT_HAS(refusal(change), "only 1 of its 4 chunks were ever written");
}

TEST_F(HostileForeign, SmallSignedIntegersAreReadAsFloats) {
  const auto change = [&](hid_t file) {
    create(file, {4, 2, 2}, creation(), H5T_STD_I16BE);
    const std::int16_t values[16] = {-32768, 32767, -1, 0, 7};
    CONVOY_HDF5(H5Dwrite(hdf5::open_dataset(file, "x").get(), H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
  };
  ASSERT_EQ(refusal(change), "nothing was thrown");
  const auto dataset = open_dataset(foreign(path("data.h5")));
  EXPECT_EQ(dataset->info().dtype, DType::f32);
  float image[4];
  std::int32_t label = -1;
  dataset->read(0, reinterpret_cast<std::byte*>(image), &label);
  EXPECT_EQ((std::vector<float>(image, image + 4)), (std::vector<float>{-32768, 32767, -1, 0}));
}

TEST_F(HostileForeign, OtherTypesAreNamedWithTheWayToConvert) {
  const auto change = [&](hid_t file) { create(file, {4, 2, 2}, creation(), H5T_STD_I64LE); };
  const std::string message = refusal(change);
  EXPECT_HAS(message, "has the type int64");
  EXPECT_HAS(message, "astype('float32')");
}

TEST_F(HostileForeign, AFileWithoutNamedDatasetsListsThem) {
  const std::string message = error_of<DataError>([&] { open_dataset(at(path("data.h5"))); });
  EXPECT_HAS(message, "/x uint8 [4, 2, 2], /y int32 [4]");
  EXPECT_HAS(message, "--data.images");
}

TEST_F(HostileForeign, AClassWithoutSamplesIsTold) {
  {
    const hdf5::File file = hdf5::open_to_change(path("data.h5"));
    const std::int32_t labels[] = {0, 1, 1, 4};
    CONVOY_HDF5(H5Dwrite(hdf5::open_dataset(file.get(), "y").get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels));
  }
  EXPECT_EQ(inspect_foreign(foreign(path("data.h5"))).warning, "2 of 5 classes have no sample: 2, 3");
}

TEST(LargeForeign, HasAFingerprintOfLabelsAndSampledImages) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "large.h5";
  constexpr std::int64_t kImages = 270'000, kSide = 128;  // 4.4 GB, of which the disk holds what is written
  hdf5::File file = hdf5::create_file(path);
  const auto first_image = static_cast<std::int64_t>(
      H5Dget_offset(hdf5::create_dataset(file.get(), "x", DType::u8, Shape{kImages, kSide, kSide}).get()));
  std::vector<std::int32_t> labels(kImages);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 3);
  hdf5::write_dataset(file.get(), "y", Tensor::view(labels.data(), Shape{kImages}, DType::i32));
  struct stat status {};
  hdf5::close(file);
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  if (status.st_blocks * 512 > status.st_size / 2) GTEST_SKIP() << "this file system has no sparse files";
  const DatasetInfo before = open_dataset(foreign(path))->info();
  EXPECT_FALSE(before.verified);
  flip_bit(path, first_image + 5, 0);  // image 0 is among the sampled ones
  EXPECT_NE(open_dataset(foreign(path))->info().fingerprint, before.fingerprint);
}

TEST(HostileShards, ALinkOutOfTheFolderIsNotFollowed) {
  const TemporaryFolder folder, elsewhere;
  make_split(folder.path(), Split::train, 6, 2);
  const fs::path shard = folder.path() / "train-00001-of-00002.h5";
  fs::rename(shard, folder.path() / "kept");
  fs::create_symlink("kept", shard);
  EXPECT_EQ(open_dataset(at(folder.path()))->info().samples, 6) << "a link within the folder is fine";
  fs::rename(folder.path() / "kept", elsewhere.path() / "kept");
  fs::remove(shard);
  fs::create_symlink(elsewhere.path() / "kept", shard);
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "a link that leads out of");
}

TEST(HostileShards, APipeInPlaceOfAShardDoesNotHang) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder.path() / "train-00000-of-00001.h5").c_str(), 0600), 0);
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "not a regular file");
}

TEST(HostileShards, FilteredImagesAreNoShard) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 6, 1, Shape{2, 2, 1});
  {
    const hdf5::File file = hdf5::open_to_change(folder.path() / "train-00000-of-00001.h5");
    H5Ldelete(file.get(), "images", H5P_DEFAULT);
    const hdf5::Properties list(CONVOY_HDF5(H5Pcreate(H5P_DATASET_CREATE)));
    const hsize_t extents[] = {6, 2, 2, 1};
    CONVOY_HDF5(H5Pset_chunk(list.get(), 4, extents));
    CONVOY_HDF5(H5Pset_deflate(list.get(), 1));
    const hdf5::Space space(CONVOY_HDF5(H5Screate_simple(4, extents, nullptr)));
    const hdf5::Dataset images(
        CONVOY_HDF5(H5Dcreate2(file.get(), "images", H5T_STD_U8LE, space.get(), H5P_DEFAULT, list.get(), H5P_DEFAULT)));
    hdf5::write_rows(images, 0, Tensor(Shape{6, 2, 2, 1}, DType::u8));
  }
  EXPECT_HAS(error_of<DataError>([&] { open_dataset(at(folder.path())); }), "packed by a filter");
}

// ---- the child that reads first

// A child has the locks that other threads held when it was made, and nobody who releases them.
TEST(Rehearsal, GivesNoVerdictWhereAnotherThreadHoldsALockThatTheChildNeeds) {
  std::mutex lock;
  std::promise<void> held, over;
  std::thread holder([&] {
    const std::lock_guard own(lock);
    held.set_value();
    over.get_future().wait();
  });
  held.get_future().wait();
  rehearse("file", [&] { const std::lock_guard wanted(lock); });
  over.set_value();
  holder.join();
}

TEST(Rehearsal, WaitsForAChildThatSleepsElsewhere) {
  EXPECT_EQ(error_of<DataError>([] {
              rehearse("file", [] {
                std::this_thread::sleep_for(std::chrono::milliseconds(2500));
                throw DataError("bad after all");
              });
            }),
            "bad after all");
}

TEST(Rehearsal, PassesOnWhatTheActionThrows) {
  rehearse("file", [] {});
  EXPECT_EQ(error_of<UsageError>([] { rehearse("file", [] { throw UsageError("wrong option"); }); }), "wrong option");
  EXPECT_EQ(error_of<DataError>([] { rehearse("file", [] { throw DataError("bad\nsample"); }); }), "bad\nsample");
  EXPECT_EQ(error_of<DataError>([] { rehearse("file", [] { throw LibraryError("HDF5 failed"); }); }), "HDF5 failed");
}

TEST(Rehearsal, ACrashInTheChildIsOneMessage) {
  for (const int signal : {SIGSEGV, SIGFPE, SIGABRT})
    EXPECT_HAS(error_of<DataError>([&] { rehearse("a.h5", [&] { std::raise(signal); }); }), "a.h5: damaged: the HDF5 library crashes");
}

TEST(Rehearsal, AChildWithoutEndIsStopped) {
  const auto loop = [] {
    const rlimit limit{1, 2};  // in place of 300 s
    setrlimit(RLIMIT_CPU, &limit);
    for (volatile bool on = true; on;) {
    }
  };
  EXPECT_HAS(error_of<DataError>([&] { rehearse("a.h5", loop); }), "does not come to an end");
}

TEST(Rehearsal, TheChildsMemoryIsBounded) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory does not fit any limit";
#endif
  const auto greedy = [] { std::vector<char>(std::size_t{6} << 30, 'x'); };
  EXPECT_HAS(error_of<DataError>([&] { rehearse("a.h5", greedy); }), "asks for too much memory");
}

// ---- importers

class HostileFolder : public ::testing::Test {
 protected:
  HostileFolder() {
    fs::create_directory(folder_.path() / "cat");
    options_.source = folder_.path();
    options_.output = output_.path();
  }
  std::string refusal() const {
    return error_of<DataError>([&] { import_image_folder(options_); });
  }
  TemporaryFolder folder_, output_, elsewhere_;
  ImportOptions options_;
};

TEST_F(HostileFolder, AClassFolderThatLeadsOutIsRefused) {
  fs::create_directory_symlink(elsewhere_.path(), folder_.path() / "dog");
  EXPECT_HAS(refusal(), "a link that leads out of");
}

TEST_F(HostileFolder, APictureThatLeadsOutIsNamed) {
  write_bytes(elsewhere_.path() / "secret.png", "no picture");
  fs::create_symlink(elsewhere_.path() / "secret.png", folder_.path() / "cat" / "a.png");
  const std::string message = refusal();
  EXPECT_HAS(message, "a link that leads out");
  EXPECT_EQ(message.find("not a PNG"), std::string::npos) << "nothing was read from it";
}

TEST_F(HostileFolder, AClassNameWithALineBreakIsRefused) {
  fs::create_directory(folder_.path() / "dog\n[train]");
  EXPECT_HAS(refusal(), "control character");
}

TEST_F(HostileFolder, APipeAmongThePicturesIsLeftOut) {
  ASSERT_EQ(::mkfifo((folder_.path() / "cat" / "a.png").c_str(), 0600), 0);
  EXPECT_HAS(refusal(), "holds no picture that can be read");
}

TEST(HostileIdx, HeadersAndGzipBombsTakeNoMemory) {
  const TemporaryFolder source, output;
  ImportOptions options;
  options.source = source.path();
  options.output = output.path();
  std::string huge("\0\0\x08\x03\x80\0\0\0\x7f\xff\xff\xff\x7f\xff\xff\xff", 16);
  write_bytes(source.path() / "train-images-idx3-ubyte", huge);
  write_bytes(source.path() / "train-labels-idx1-ubyte", std::string("\0\0\x08\x01\x80\0\0\0", 8));
  EXPECT_HAS(error_of<DataError>([&] { import_idx(options); }), "2147483648 x 2147483647 x 2147483647");
  fs::remove(source.path() / "train-images-idx3-ubyte");
  ASSERT_EQ(::mkfifo((source.path() / "train-images-idx3-ubyte").c_str(), 0600), 0);
  EXPECT_HAS(error_of<DataError>([&] { import_idx(options); }), "pipe or device");
}

TEST(FullDisk, AnImportEndsInOneLineAndLeavesNothing) {
  const TemporaryFolder folder;
  const auto import = [&] {
    std::signal(SIGXFSZ, SIG_IGN);  // the write then fails as on a full disk
    const rlimit limit{20'000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    make_split(folder.path(), Split::train, 2000, 2, Shape{8, 8, 3});
  };
  // In a child, for the limit cannot be lifted everywhere.
  const std::string message = error_of<Error>([&] { rehearse("import", import); });
  EXPECT_HAS(message, "cannot be written: File too large");
  EXPECT_EQ(message.find("H5"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace convoy
