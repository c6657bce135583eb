// Damaged and hostile checkpoints: whatever is done to a file, loading either fails or gives the saved content.
#include <hdf5.h>

#include <cstdlib>
#include <functional>
#include <random>
#include <set>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"
#include "io/describe_checkpoint.h"

/// HDF5 1.10.8 forgets some blocks when it refuses damaged metadata (handles of ours it would free at exit): the leak
/// checker of the asan build reports what convoy leaks, not that.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace convoy {
namespace {

using test::content_of;
using test::identical;
using test::message_of;
using test::ScratchFolder;
using test::write_content;

/// Small, so that random flips find the metadata too.
Checkpoint small_checkpoint() {
  Checkpoint checkpoint = test::sample_checkpoint();
  checkpoint.config = "[train]\nepochs = 5\n";
  return checkpoint;
}

std::uint64_t chosen_seed() {
  if (const char* text = std::getenv("CONVOY_TEST_SEED")) return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

/// 1 for the short run; `CONVOY_TEST_SCALE=20` for the long one.
int scale() {
  const char* text = std::getenv("CONVOY_TEST_SCALE");
  return text ? std::max(1, std::atoi(text)) : 1;
}

/// Whether a file with this content is refused by DataError; a load of other content is a failure.
bool refused(const std::filesystem::path& file, const std::string& content, const Checkpoint& saved) {
  std::filesystem::remove(file);  // ext4 flushes a file that is emptied and written again: slow
  write_content(file, content);
  try {
    EXPECT_TRUE(identical(read_checkpoint(file), saved)) << "loaded other content silently";
    return false;
  } catch (const DataError&) {
    return true;
  }
}

TEST(DamagedCheckpoint, NoFlippedBitIsLoadedSilently) {
  const ScratchFolder folder;
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(folder / "good.h5", saved);
  const std::string good = content_of(folder / "good.h5");
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  int failures = 0;
  const int flips = 800 * scale();
  for (int i = 0; i < flips; ++i) {
    const std::size_t bit = random() % (8 * good.size());
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    failures += refused(folder / "bad.h5", bad, saved);
    ASSERT_FALSE(testing::Test::HasFailure()) << "bit " << bit << ", CONVOY_TEST_SEED=" << seed;
  }
  std::printf("%zu bytes, %d flips, %d refused, seed %llu\n", good.size(), flips, failures,
              static_cast<unsigned long long>(seed));
  EXPECT_GT(failures, flips / 2) << "most of the file is content or checksummed metadata";
}

TEST(DamagedCheckpoint, NoOverwrittenBlockIsLoadedSilently) {
  const ScratchFolder folder;
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(folder / "good.h5", saved);
  const std::string good = content_of(folder / "good.h5");
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  for (int i = 0; i < 100 * scale(); ++i) {
    std::string bad = good;
    const std::size_t begin = random() % good.size(), size = std::min<std::size_t>(512, good.size() - begin);
    for (std::size_t j = begin; j < begin + size; ++j) bad[j] = i % 2 ? '\0' : static_cast<char>(random());
    refused(folder / "bad.h5", bad, saved);
    ASSERT_FALSE(testing::Test::HasFailure()) << "from " << begin << ", CONVOY_TEST_SEED=" << seed;
  }
}

TEST(DamagedCheckpoint, EveryTruncationIsRefused) {
  const ScratchFolder folder;
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(folder / "good.h5", saved);
  const std::string good = content_of(folder / "good.h5");
  for (std::size_t size = 0; size < good.size(); size += size < 200 ? 7 : 97)
    EXPECT_TRUE(refused(folder / "bad.h5", good.substr(0, size), saved)) << size << " bytes";
  EXPECT_TRUE(refused(folder / "bad.h5", good.substr(0, good.size() - 1), saved));
}

/// Saves a good checkpoint, changes it through HDF5 and returns the message with which it is refused.
std::string refusal_of(const std::function<void(hid_t file)>& change) {
  const ScratchFolder folder;
  const std::filesystem::path path = folder / "changed.h5";
  write_checkpoint(path, small_checkpoint());
  write_checkpoint(folder / "other.h5", small_checkpoint());
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  EXPECT_GE(file, 0);
  change(file);
  EXPECT_GE(H5Fclose(file), 0);
  return message_of<DataError>([&] { read_checkpoint(path); });
}

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

/// Replaces a dataset by another with this creation list and these extents; nothing is written to it.
void replace_dataset(hid_t file, const char* name, hid_t creation, std::vector<hsize_t> extents) {
  EXPECT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0);
  const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  const hid_t dataset = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  EXPECT_GE(dataset, 0);
  H5Dclose(dataset);
  H5Sclose(space);
  H5Pclose(creation);
}

TEST(HostileCheckpoint, SoftLinkIsNotFollowed) {
  const std::string message = refusal_of([](hid_t file) {
    H5Ldelete(file, "/parameters/scalar", H5P_DEFAULT);
    H5Lcreate_soft("/parameters/conv1/bias", file, "/parameters/scalar", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_MENTIONS(message, "/parameters/scalar: a soft or external link");
}

TEST(HostileCheckpoint, ExternalLinkIsNotFollowed) {
  const std::string message = refusal_of([](hid_t file) {
    H5Ldelete(file, "/parameters/scalar", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/parameters/scalar", file, "/parameters/scalar", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_MENTIONS(message, "/parameters/scalar: a soft or external link");
}

TEST(HostileCheckpoint, GroupInsideItselfEnds) {
  const std::string message = refusal_of([](hid_t file) {
    H5Lcreate_hard(file, "/parameters", file, "/parameters/conv1/again", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_MENTIONS(message, "/parameters/conv1/again: a second link to an object");
}

TEST(HostileCheckpoint, HugeExtentsTakeNoMemory) {
  const std::string message = refusal_of([](hid_t file) {
    replace_dataset(file, "/parameters/scalar", H5Pcreate(H5P_DATASET_CREATE), {hsize_t{1} << 40});
  });
  EXPECT_MENTIONS(message, "/parameters/scalar: ");
}

TEST(HostileCheckpoint, OverflowingExtentsAreRefused) {
  const std::string message = refusal_of([](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[3] = {1, 1, 1};
    H5Pset_chunk(creation, 3, chunk);
    replace_dataset(file, "/parameters/scalar", creation, {hsize_t{1} << 31, hsize_t{1} << 31, 4});
  });
  EXPECT_MENTIONS(message, "/parameters/scalar: ");
}

TEST(HostileCheckpoint, ChunksAndFiltersAreRefused) {
  const std::string message = refusal_of([](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[1] = {4};
    H5Pset_chunk(creation, 1, chunk);
    H5Pset_deflate(creation, 1);
    replace_dataset(file, "/parameters/scalar", creation, {8});
  });
  EXPECT_MENTIONS(message, "/parameters/scalar: chunked, filtered, virtual or external storage");
}

TEST(HostileCheckpoint, BytesInAnotherFileAreRefused) {
  const std::string message = refusal_of([](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "/etc/passwd", 0, 32);
    replace_dataset(file, "/parameters/scalar", creation, {8});
  });
  EXPECT_MENTIONS(message, "/parameters/scalar: chunked, filtered, virtual or external storage");
}

TEST(HostileCheckpoint, MissingDatasetIsNoticed) {
  EXPECT_MENTIONS(refusal_of([](hid_t file) { H5Ldelete(file, "/state/bn1/mean", H5P_DEFAULT); }), "@content_crc32c");
  EXPECT_MENTIONS(refusal_of([](hid_t file) { H5Ldelete(file, "/config", H5P_DEFAULT); }), "/config: missing");
  EXPECT_MENTIONS(refusal_of([](hid_t file) { H5Ldelete(file, "/state", H5P_DEFAULT); }), "/state: missing");
}

TEST(HostileCheckpoint, MovedOrUnknownDatasetIsNoticed) {
  const auto move = [](const char* from, const char* to) {
    return [=](hid_t file) { H5Lmove(file, from, file, to, H5P_DEFAULT, H5P_DEFAULT); };
  };
  EXPECT_MENTIONS(refusal_of(move("/state/bn1/mean", "/state/bn1/variance")), "@content_crc32c");
  EXPECT_MENTIONS(refusal_of(move("/state/bn1/mean", "/extra")), "\"/extra\" is unknown");
}

TEST(HostileCheckpoint, ChangedAttributeIsNoticed) {
  const auto change = [](const char* name, std::int64_t value) {
    return [=](hid_t file) {
      const hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
      EXPECT_GE(H5Awrite(attribute, H5T_NATIVE_INT64, &value), 0);
      H5Aclose(attribute);
    };
  };
  for (const char* name : {"step", "updates", "loss_scale_counter", "best_step", "world_size", "content_crc32c"})
    EXPECT_MENTIONS(refusal_of(change(name, 5)), "@content_crc32c");
  EXPECT_MENTIONS(refusal_of(change("version", 2)), "format version 2, but this convoy reads up to 1");
}

TEST(HostileCheckpoint, MissingAttributeIsNoticed) {
  for (const char* name : {"format", "version", "step", "updates", "loss_scale", "loss_scale_counter", "best_metric",
                           "best_step", "graph_hash", "world_size", "epoch", "content_crc32c"})
    EXPECT_MENTIONS(refusal_of([=](hid_t file) { H5Adelete(file, name); }), "@");
}

TEST(HostileCheckpoint, FileOfAnotherFormatIsRefused) {
  const ScratchFolder folder;
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  H5Fclose(H5Fcreate((folder / "new.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access));
  H5Pclose(access);
  H5Fclose(H5Fcreate((folder / "old.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  EXPECT_MENTIONS(message_of<DataError>([&] { read_checkpoint(folder / "new.h5"); }), "@format: ");
  EXPECT_MENTIONS(message_of<DataError>([&] { read_checkpoint(folder / "old.h5"); }), "superblock 0");
}

TEST(VerifyCheckpoint, NamesAllThatIsBad) {
  const ScratchFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(path, saved);
  EXPECT_TRUE(verify_checkpoint(path).good());
  std::string content = content_of(path);
  const std::set<std::string> expected{"/parameters/conv1/filters", "/averages/typed/int64", "/config"};
  const auto flip_at = [&](const void* bytes, std::size_t size) {
    const std::size_t at = content.find(std::string(static_cast<const char*>(bytes), size));
    ASSERT_NE(at, std::string::npos);
    content[at] = static_cast<char>(content[at] ^ 1);
  };
  flip_at(saved.parameters.at("conv1/filters").bytes(), 600);
  flip_at(saved.averages.at("typed/int64").bytes(), 120);
  flip_at(saved.config.data(), saved.config.size());
  write_content(path, content);
  const CheckpointVerification verification = verify_checkpoint(path);
  std::set<std::string> bad;
  for (const VerifiedItem& item : verification.items)
    if (!item.problem.empty()) bad.insert(item.name);
  EXPECT_EQ(bad, expected);
  EXPECT_MENTIONS(to_text(verification), "BAD  /config: its bytes have the CRC-32C");
  EXPECT_MENTIONS(to_text(verification), "3 bad");
  const std::string message = message_of<DataError>([&] { read_checkpoint(path); });
  EXPECT_MENTIONS(message, "a.h5: /parameters/conv1/filters: ");
}

}  // namespace
}  // namespace convoy
