// Saves in the background: what is written, what is reported, and who waits for whom.
#include "io/checkpoint_saver.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"
#include "io/checkpoint_snapshot.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::identical;
using test::message_of;
using test::sample_checkpoint;
using test::ScratchFolder;

constexpr std::chrono::seconds kLong{60};

/// A checkpoint whose write takes a while.
Checkpoint big_checkpoint(std::int64_t step, std::int64_t floats = 4'000'000) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  for (int i = 0; i < 2; ++i) {
    Tensor tensor(Shape{floats}, DType::f32);
    for (float& value : tensor.values<float>()) value = static_cast<float>(step + i);
    checkpoint.parameters["layer" + std::to_string(i)] = tensor;
  }
  return checkpoint;
}

/// The report of the one save that has ended.
SaveReport only_report(CheckpointSaver& saver) {
  saver.wait();
  const std::vector<SaveReport> reports = saver.take_reports();
  EXPECT_EQ(reports.size(), 1u);
  return reports.empty() ? SaveReport{} : reports.front();
}

TEST(CheckpointSaver, WritesWhatItWasGivenWhateverHappensToItAfterwards) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  Checkpoint given = sample_checkpoint(7);
  saver.save(given, {.is_best = true, .with_digest = true});
  for (auto& [name, tensor] : given.parameters) std::memset(tensor.bytes(), 0xff, tensor.size_bytes());
  given.config = "changed";
  given.run_record["batch"] = "changed";
  const SaveReport report = only_report(saver);
  EXPECT_TRUE(report.good()) << report.error;
  EXPECT_EQ(report.step, 7);
  EXPECT_EQ(report.bytes, static_cast<std::int64_t>(fs::file_size(report.file)));
  const Checkpoint expected = sample_checkpoint(7);
  EXPECT_TRUE(identical(read_checkpoint(report.file), expected));
  EXPECT_EQ(report.digest, digest_of(expected));
  EXPECT_EQ(saver.newest(), report.file);
  EXPECT_EQ(fs::read_symlink(scratch / "latest"), report.file.filename());
  EXPECT_EQ(fs::read_symlink(scratch / "best"), report.file.filename());
}

TEST(CheckpointSaver, GivesNoDigestUnlessAsked) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  saver.save(sample_checkpoint(7), false);
  EXPECT_EQ(only_report(saver).digest, "");
}

TEST(CheckpointSaver, EverySaveInAQuickRowIsWrittenInOrder) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 9);
  for (std::int64_t step = 1; step <= 9; ++step) saver.save(sample_checkpoint(step, static_cast<std::uint64_t>(step)), false);
  saver.wait();
  const std::vector<SaveReport> reports = saver.take_reports();
  ASSERT_EQ(reports.size(), 9u);
  for (std::int64_t step = 1; step <= 9; ++step) {
    const SaveReport& report = reports[static_cast<std::size_t>(step - 1)];
    EXPECT_EQ(report.step, step);
    EXPECT_TRUE(identical(read_checkpoint(report.file), sample_checkpoint(step, static_cast<std::uint64_t>(step))));
  }
  EXPECT_TRUE(saver.take_reports().empty()) << "reports are taken once";
}

TEST(CheckpointSaver, TheFileOnTheDiskIsTheOneThatSavingAtOnceWrites) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  saver.save(sample_checkpoint(7), false);
  const SaveReport report = only_report(saver);
  write_checkpoint(scratch / "plain.h5", sample_checkpoint(7));
  EXPECT_EQ(test::content_of(report.file), test::content_of(scratch / "plain.h5"));
}

TEST(CheckpointSaver, AnotherModelMayFollow) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  saver.save(sample_checkpoint(1), false);
  saver.save(big_checkpoint(2, 1000), false);
  saver.wait();
  EXPECT_TRUE(identical(read_checkpoint(*saver.newest()), big_checkpoint(2, 1000)));
}

TEST(CheckpointSaver, WhatCannotBeStoredIsRefusedAtOnceAndStartsNothing) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  Checkpoint bad = sample_checkpoint(7);
  bad.parameters["nothing"] = Tensor();
  message_of<UsageError>([&] { saver.save(bad, false); });
  saver.wait();
  EXPECT_TRUE(saver.take_reports().empty());
  EXPECT_FALSE(saver.newest());
  message_of<UsageError>([&] { CheckpointSaver(CheckpointFolder(scratch.path()), 0); });
}

TEST(CheckpointSaver, AFailedWriteIsReportedAndThePreviousFileStaysNewest) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 1);
  saver.save(sample_checkpoint(1), true);
  saver.wait();
  saver.inject_write_error(ENOSPC, 2);
  saver.save(sample_checkpoint(2), true);
  saver.save(sample_checkpoint(3), false);
  saver.save(sample_checkpoint(4), false);
  saver.wait();
  const std::vector<SaveReport> reports = saver.take_reports();
  ASSERT_EQ(reports.size(), 4u);
  for (std::size_t failed : {1u, 2u}) {
    EXPECT_EQ(reports[failed].error_number, ENOSPC);
    EXPECT_NE(reports[failed].error.find("No space left on device"), std::string::npos) << reports[failed].error;
    EXPECT_NE(reports[failed].error.find(reports[failed].file.string()), std::string::npos) << reports[failed].error;
  }
  EXPECT_TRUE(reports[3].good());
  EXPECT_EQ(saver.newest(), reports[3].file);
}

TEST(CheckpointSaver, AfterAFailedWriteTheLinksPointToWhatIsThere) {
  for (const std::int64_t at_byte : {0, 1, 100, 2000, -1}) {
    const ScratchFolder scratch;
    CheckpointSaver saver(CheckpointFolder(scratch.path()), 1);
    saver.save(sample_checkpoint(1), true);
    saver.wait();
    saver.inject_write_error(EIO, 1, at_byte);
    saver.save(sample_checkpoint(2), true);
    saver.wait();
    EXPECT_EQ(saver.take_reports().back().error_number, EIO) << "at byte " << at_byte;
    EXPECT_EQ(saver.newest(), scratch / "step-00000001.h5");
    EXPECT_EQ(fs::read_symlink(scratch / "latest"), "step-00000001.h5");
    EXPECT_EQ(fs::read_symlink(scratch / "best"), "step-00000001.h5");
    EXPECT_EQ(std::distance(fs::directory_iterator(scratch.path()), {}), 3) << "a temporary was left behind";
    EXPECT_TRUE(identical(read_checkpoint(*saver.newest()), sample_checkpoint(1)));
  }
}

TEST(CheckpointSaver, StatusTellsWhatWasSavedAndWhatFailed) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  EXPECT_EQ(saver.status().newest_step, -1);
  saver.save(sample_checkpoint(5), false);
  saver.wait();
  saver.inject_write_error(EROFS);
  saver.save(sample_checkpoint(6), false);
  saver.wait();
  const SaverStatus status = saver.status();
  EXPECT_EQ(status.newest_step, 5);
  EXPECT_EQ(status.newest, scratch / "step-00000005.h5");
  EXPECT_EQ(status.writing_step, -1);
  EXPECT_EQ(status.saved, 1);
  EXPECT_EQ(status.failed, 1);
  EXPECT_NE(status.last_error.find("Read-only file system"), std::string::npos);
}

TEST(CheckpointSaver, TheDestructorWaitsForTheWriteUnderWay) {
  const ScratchFolder scratch;
  { CheckpointSaver(CheckpointFolder(scratch.path()), 2).save(big_checkpoint(3), false); }
  EXPECT_TRUE(identical(read_checkpoint(scratch / "step-00000003.h5"), big_checkpoint(3)));
}

TEST(CheckpointSaver, TheDestructorWaitsWhileAnExceptionPassesToo) {
  const ScratchFolder scratch;
  try {
    CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
    saver.save(big_checkpoint(3), false);
    throw UsageError("passing");
  } catch (const UsageError&) {
  }
  EXPECT_TRUE(identical(read_checkpoint(scratch / "step-00000003.h5"), big_checkpoint(3)));
}

TEST(CheckpointSaver, StatusTellsWhatIsBeingWritten) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  saver.inject_write_delay(std::chrono::seconds(1));
  saver.save(sample_checkpoint(5), false);
  EXPECT_EQ(saver.status().writing_step, 5);
  EXPECT_FALSE(saver.wait_for(std::chrono::milliseconds(1)));
  EXPECT_TRUE(saver.wait_for(kLong));
  EXPECT_TRUE(identical(read_checkpoint(*saver.newest()), sample_checkpoint(5)));
}

TEST(CheckpointSaver, AWriteThatHangsIsLeftBehindWhenAnExceptionPasses) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  try {
    CheckpointSaver saver(folder, 2, std::chrono::milliseconds(50));
    saver.inject_write_delay(std::chrono::seconds(2));
    saver.save(sample_checkpoint(3), false);
    throw UsageError("passing");
  } catch (const UsageError&) {
    EXPECT_TRUE(folder.steps().empty()) << "the destructor waited for the write";
  }
  // It goes on by itself where it can.
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (!fs::exists(scratch / "latest") && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(identical(read_checkpoint(folder.file_for(3)), sample_checkpoint(3)));
}

TEST(CheckpointSaver, AnyThreadMayAskWhileOneSaves) {
  const ScratchFolder scratch;
  CheckpointSaver saver(CheckpointFolder(scratch.path()), 2);
  std::jthread watcher([&](std::stop_token stop) {
    std::int64_t seen = -1;
    while (!stop.stop_requested()) {
      const SaverStatus status = saver.status();
      EXPECT_GE(status.newest_step, seen);
      seen = status.newest_step;
      static_cast<void>(saver.newest());
      static_cast<void>(saver.wait_for(std::chrono::milliseconds(1)));
    }
  });
  for (std::int64_t step = 1; step <= 20; ++step) saver.save(sample_checkpoint(step), false);
  EXPECT_TRUE(saver.wait_for(kLong));
  watcher.request_stop();
  watcher.join();
  EXPECT_EQ(saver.status().newest_step, 20);
}

TEST(CheckpointSnapshot, SharesNothingAndUsesItsMemoryAgain) {
  const Checkpoint first = big_checkpoint(1, 20'000'000);  // enough for several threads
  Checkpoint copy;
  copy_into(first, copy);
  EXPECT_TRUE(identical(copy, first));
  std::map<std::string, const std::byte*> storage;
  for (const auto& [name, tensor] : copy.parameters) {
    storage[name] = tensor.bytes();
    EXPECT_NE(tensor.bytes(), first.parameters.at(name).bytes());
  }
  const Checkpoint second = big_checkpoint(2, 20'000'000);
  copy_into(second, copy);
  EXPECT_TRUE(identical(copy, second));
  for (const auto& [name, tensor] : copy.parameters) EXPECT_EQ(tensor.bytes(), storage[name]) << "allocated again";
}

TEST(CheckpointSnapshot, FollowsTensorsThatComeGoAndChange) {
  Checkpoint copy;
  copy_into(sample_checkpoint(1), copy);
  Checkpoint changed = sample_checkpoint(2, 9);
  changed.parameters.erase("scalar");
  changed.parameters["new"] = test::random_tensor({3}, DType::f64, 1);
  changed.parameters["conv1/bias"] = test::random_tensor({5}, DType::f32, 2);
  changed.parameters["dense/weights"] = test::random_tensor({40, 20}, DType::u16, 3);
  copy_into(changed, copy);
  EXPECT_TRUE(identical(copy, changed));
}

}  // namespace
}  // namespace convoy
