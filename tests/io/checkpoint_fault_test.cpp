// Writers that are killed and disks that are full: the previous checkpoint stays usable.
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"
#include "io/checkpoint_saver.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::ScratchFolder;

Checkpoint heavy_checkpoint(std::int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  for (int i = 0; i < 8; ++i) {
    Tensor tensor(Shape{50'000}, DType::f32);
    for (float& value : tensor.values<float>()) value = static_cast<float>(step + i);
    checkpoint.parameters["layer" + std::to_string(i) + "/weights"] = tensor;
  }
  return checkpoint;
}

std::size_t temporaries_in(const fs::path& folder) {
  std::size_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    count += entry.path().extension() == ".convoy-tmp";
  return count;
}

/// A process that saves one step after the other for ever.
pid_t start_writer(const fs::path& folder, std::int64_t first_step) {
  const pid_t child = fork();
  if (child != 0) return child;
  try {
    for (std::int64_t step = first_step;; ++step) CheckpointFolder(folder).save(heavy_checkpoint(step), 2, step % 5 == 0);
  } catch (...) {
  }
  _exit(1);
}

TEST(CheckpointFault, KilledWriterLeavesTheNewestCompleteCheckpoint) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  folder.save(heavy_checkpoint(1), 2, true);
  const std::uint64_t seed = std::random_device{}();
  std::mt19937_64 random(seed);
  std::int64_t newest = 1;
  std::size_t leftovers = 0;
  for (int kill_number = 0; kill_number < 25; ++kill_number) {
    const pid_t child = start_writer(scratch.path(), newest + 1);
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself; seed " << seed;
    leftovers += temporaries_in(scratch.path());
    std::vector<std::string> warnings;
    const auto found = folder.newest_valid(warnings);
    ASSERT_TRUE(found) << "seed " << seed;
    EXPECT_TRUE(warnings.empty()) << warnings.front();
    ASSERT_GE(found->second.step, newest);
    newest = found->second.step;
    EXPECT_TRUE(test::identical(found->second, heavy_checkpoint(newest)));
    EXPECT_TRUE(fs::exists(scratch / "latest")) << "the link must not dangle";
  }
  std::printf("25 kills, %zu with a half-written file, step %lld reached, seed %llu\n", leftovers,
              static_cast<long long>(newest), static_cast<unsigned long long>(seed));
  EXPECT_GT(leftovers, 0u) << "no kill hit a writer at work: the test shows nothing";
  folder.save(heavy_checkpoint(newest + 1), 2, false);
  EXPECT_EQ(temporaries_in(scratch.path()), 0u);
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
}

/// A save that cannot fit: the error names the file, nothing is left behind, and the previous one is as it was.
/// Returns whether the save failed.
bool save_fails_cleanly(const CheckpointFolder& folder, const Checkpoint& checkpoint, const std::string& words) {
  const fs::path file = folder.file_for(checkpoint.step);
  const std::size_t descriptors = open_descriptors();
  bool failed = false;
  try {
    folder.save(checkpoint, 9, false);
  } catch (const LibraryError& error) {
    failed = true;
    const std::string message = error.what();
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_NE(message.find(file.parent_path().string()), std::string::npos) << message;
  }
  EXPECT_EQ(open_descriptors(), descriptors);
  EXPECT_EQ(temporaries_in(file.parent_path()), 0u);
  return failed;
}

/// Takes SIGXFSZ away and limits the size of files until its end.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t size_bytes) : old_handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limited{size_bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    signal(SIGXFSZ, old_handler_);
  }

 private:
  void (*old_handler_)(int);
  rlimit old_{};
};

TEST(CheckpointFault, FileSizeLimitFailsTheSaveAndKeepsThePreviousOne) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  const Checkpoint previous = test::sample_checkpoint(1000);
  folder.save(previous, 9, false);
  const auto whole = fs::file_size(folder.file_for(1000));
  for (rlim_t limit = 0; limit < whole; limit += 1 + whole / 40) {
    const FileSizeLimit guard(limit);
    EXPECT_TRUE(save_fails_cleanly(folder, test::sample_checkpoint(2000), "File too large")) << limit;
  }
  EXPECT_TRUE(test::identical(read_checkpoint(folder.file_for(1000)), previous));
  EXPECT_EQ(folder.steps(), std::vector<std::int64_t>{1000});
  EXPECT_EQ(folder.save(test::sample_checkpoint(2000), 9, false), folder.file_for(2000));
}

/// A tiny file system in memory, where the user may mount one.
class TinyDisk {
 public:
  TinyDisk() : mounted_(mount("none", scratch_.path().c_str(), "tmpfs", 0, "size=1m") == 0) {}
  ~TinyDisk() {
    if (mounted_) umount2(scratch_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  fs::path path() const { return scratch_.path(); }
  /// Leaves `size_bytes` free.
  void leave_free(std::uintmax_t size_bytes) const {
    fs::remove(path() / "ballast");
    const std::uintmax_t available = fs::space(path()).available;
    test::write_content(path() / "ballast", std::string(available > size_bytes ? available - size_bytes : 0, 'b'));
  }

 private:
  ScratchFolder scratch_;
  bool mounted_;
};

TEST(CheckpointFault, FullDiskFailsTheSaveAndKeepsThePreviousOne) {
  const TinyDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs; the file size limit above is the same case";
  const CheckpointFolder folder(disk.path());
  const Checkpoint previous = test::sample_checkpoint(1000);
  folder.save(previous, 9, false);
  constexpr std::uintmax_t kPage = 4096;
  int failures = 0, successes = 0;
  for (std::uintmax_t free_bytes = 0; free_bytes < fs::file_size(folder.file_for(1000)) + 4 * kPage; free_bytes += kPage) {
    disk.leave_free(free_bytes);
    const bool failed = save_fails_cleanly(folder, test::sample_checkpoint(2000), "No space left on device");
    (failed ? failures : successes) += 1;
    EXPECT_EQ(fs::exists(folder.file_for(2000)), !failed);
    fs::remove(folder.file_for(2000));
    EXPECT_TRUE(test::identical(read_checkpoint(folder.file_for(1000)), previous));
  }
  EXPECT_GT(failures, 10);
  EXPECT_GT(successes, 0);
}

TEST(CheckpointFault, ReadOnlyFolderFailsTheSaveAndNamesTheFile) {
  const TinyDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs";
  const CheckpointFolder folder(disk.path());
  folder.save(test::sample_checkpoint(1000), 9, false);
  ASSERT_EQ(mount("none", disk.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_TRUE(save_fails_cleanly(folder, test::sample_checkpoint(2000), "Read-only file system"));
}

int scale() {
  const char* text = std::getenv("CONVOY_TEST_SCALE");
  return text ? std::max(1, std::atoi(text)) : 1;
}

/// A number that two processes see.
class SharedStep {
 public:
  SharedStep() : step_(static_cast<std::atomic<std::int64_t>*>(mmap(nullptr, sizeof(*step_), PROT_READ | PROT_WRITE,
                                                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    *step_ = 0;
  }
  ~SharedStep() { munmap(step_, sizeof(*step_)); }
  std::atomic<std::int64_t>& operator*() const { return *step_; }

 private:
  std::atomic<std::int64_t>* step_;
};

/// A process that saves in the background, one step after the other for ever; `saved` is the last one handed over.
pid_t start_background_writer(const fs::path& folder, std::int64_t first_step, const SharedStep& saved) {
  const pid_t child = fork();
  if (child != 0) return child;
  try {
    CheckpointSaver saver(CheckpointFolder(folder), 2);
    for (std::int64_t step = first_step;; ++step) {
      saver.save(heavy_checkpoint(step), step % 5 == 0);
      *saved = step;
      for (const SaveReport& report : saver.take_reports())
        if (!report.good()) _exit(2);
    }
  } catch (...) {
  }
  _exit(1);
}

TEST(BackgroundSaveFault, KilledAtAnyMomentOneOfTheLastTwoIsThere) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  folder.save(heavy_checkpoint(1), 2, true);
  const char* text = std::getenv("CONVOY_TEST_SEED");
  const std::uint64_t seed = text ? std::strtoull(text, nullptr, 10) : std::random_device{}();
  std::mt19937_64 random(seed);
  std::int64_t newest = 1;
  std::size_t leftovers = 0;
  const int kills = 15 * scale();
  for (int kill_number = 0; kill_number < kills; ++kill_number) {
    const SharedStep saved;
    *saved = newest;
    const pid_t child = start_background_writer(scratch.path(), newest + 1, saved);
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 80'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself; seed " << seed;
    leftovers += temporaries_in(scratch.path());
    std::vector<std::string> warnings;
    const auto found = folder.newest_valid(warnings);
    ASSERT_TRUE(found) << "seed " << seed;
    EXPECT_TRUE(warnings.empty()) << warnings.front();
    EXPECT_GE(found->second.step, *saved - 1) << "seed " << seed;
    EXPECT_GE(found->second.step, newest);
    newest = found->second.step;
    EXPECT_TRUE(test::identical(found->second, heavy_checkpoint(newest)));
    EXPECT_TRUE(fs::exists(scratch / "latest")) << "the link must not dangle";
    EXPECT_TRUE(fs::exists(scratch / "best")) << "the link must not dangle";
  }
  std::printf("%d kills, %zu with a half-written file, step %lld reached, seed %llu\n", kills, leftovers,
              static_cast<long long>(newest), static_cast<unsigned long long>(seed));
  EXPECT_GT(leftovers, 0u) << "no kill hit a writer at work: the test shows nothing";
}

/// Saves one step and returns its report.
SaveReport save_one(CheckpointSaver& saver, std::int64_t step) {
  saver.save(test::sample_checkpoint(step), false);
  saver.wait();
  const std::vector<SaveReport> reports = saver.take_reports();
  return reports.size() == 1 ? reports.front() : SaveReport{};
}

TEST(BackgroundSaveFault, AFullDiskIsReportedAndTheNextSaveSucceedsWhenThereIsSpaceAgain) {
  const TinyDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs";
  CheckpointSaver saver(CheckpointFolder(disk.path()), 3);
  const SaveReport first = save_one(saver, 1000);
  EXPECT_TRUE(first.good()) << first.error;
  disk.leave_free(20'000);
  const SaveReport full = save_one(saver, 2000);
  EXPECT_EQ(full.error_number, ENOSPC) << full.error;
  EXPECT_EQ(saver.newest(), first.file);
  EXPECT_EQ(fs::read_symlink(disk.path() / "latest"), first.file.filename());
  EXPECT_TRUE(test::identical(read_checkpoint(first.file), test::sample_checkpoint(1000)));
  EXPECT_EQ(temporaries_in(disk.path()), 0u);
  fs::remove(disk.path() / "ballast");
  EXPECT_TRUE(save_one(saver, 3000).good());
}

TEST(BackgroundSaveFault, AFileSizeLimitIsReported) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 3);
  EXPECT_TRUE(save_one(saver, 1000).good());
  {
    const FileSizeLimit limit(3000);
    EXPECT_EQ(save_one(saver, 2000).error_number, EFBIG);
  }
  EXPECT_EQ(saver.newest(), scratch / "step-00001000.h5");
  EXPECT_TRUE(save_one(saver, 3000).good());
}

TEST(BackgroundSaveFault, AFileSystemThatTurnsReadOnlyIsReported) {
  const TinyDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs";
  CheckpointSaver saver(CheckpointFolder(disk.path()), 3);
  EXPECT_TRUE(save_one(saver, 1000).good());
  ASSERT_EQ(mount("none", disk.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_EQ(save_one(saver, 2000).error_number, EROFS);
  EXPECT_TRUE(test::identical(read_checkpoint(*saver.newest()), test::sample_checkpoint(1000)));
  ASSERT_EQ(mount("none", disk.path().c_str(), "tmpfs", MS_REMOUNT, nullptr), 0);
  EXPECT_TRUE(save_one(saver, 3000).good());
}

TEST(BackgroundSaveFault, AFolderThatIsRemovedDuringTheWriteIsReportedAndMadeAgainByTheNext) {
  const ScratchFolder scratch;
  const fs::path folder = scratch / "checkpoints";
  CheckpointSaver saver(CheckpointFolder(folder), 3);
  EXPECT_TRUE(save_one(saver, 1000).good());
  saver.inject_write_delay(std::chrono::seconds(1));
  saver.save(test::sample_checkpoint(2000), false);
  while (fs::exists(folder) && temporaries_in(folder) == 0) std::this_thread::yield();
  fs::remove_all(folder);
  saver.wait();
  EXPECT_EQ(saver.take_reports().at(0).error_number, ENOENT);
  EXPECT_TRUE(save_one(saver, 3000).good());
  EXPECT_TRUE(test::identical(read_checkpoint(*saver.newest()), test::sample_checkpoint(3000)));
}

}  // namespace
}  // namespace convoy
