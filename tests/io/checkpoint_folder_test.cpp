#include <sys/stat.h>

#include <set>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::ScratchFolder;
using test::write_content;

Checkpoint at_step(std::int64_t step, std::optional<std::pair<double, std::int64_t>> best = {}) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.best = best;
  checkpoint.parameters["w"] = test::random_tensor({100}, DType::f32, static_cast<std::uint64_t>(step));
  return checkpoint;
}

void damage(const fs::path& file) {
  std::string content = test::content_of(file);
  const std::string bytes(reinterpret_cast<const char*>(read_checkpoint(file).parameters.at("w").bytes()), 400);
  content[content.find(bytes)] ^= 1;
  write_content(file, content);
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

using Steps = std::vector<std::int64_t>;

TEST(CheckpointFolder, NamesFilesByTheirStep) {
  const CheckpointFolder folder("c");
  EXPECT_EQ(folder.file_for(12000), "c/step-00012000.h5");
  EXPECT_EQ(folder.file_for(1234567890), "c/step-1234567890.h5");
}

TEST(CheckpointFolder, OfNothingIsEmpty) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch / "missing");
  std::vector<std::string> warnings;
  EXPECT_TRUE(folder.steps().empty());
  EXPECT_FALSE(folder.newest_valid(warnings));
  EXPECT_FALSE(folder.best());
  EXPECT_TRUE(warnings.empty());
}

TEST(CheckpointFolder, KeepsWhatIsPinned) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  folder.pin(folder.save(at_step(10), 1, false));
  for (std::int64_t step : {20, 30}) folder.save(at_step(step), 1, false);
  EXPECT_EQ(folder.steps(), (Steps{30, 10}));
  folder.pin(folder.file_for(30));
  folder.save(at_step(40), 1, false);
  EXPECT_EQ(folder.steps(), (Steps{40, 30}));
}

TEST(CheckpointFolder, KeepsTheNewestAndTheBest) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  for (std::int64_t step : {10, 20, 30, 40, 50}) folder.save(at_step(step), 2, step == 20);
  EXPECT_EQ(folder.steps(), (Steps{50, 40, 20}));
  EXPECT_EQ(folder.best(), scratch / "step-00000020.h5");
  folder.save(at_step(60), 1, true);
  EXPECT_EQ(folder.steps(), Steps{60});
  EXPECT_EQ(folder.best(), scratch / "step-00000060.h5");
}

TEST(CheckpointFolder, KeepsTheBestThatTheCheckpointRecords) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  folder.save(at_step(10, std::pair(0.5, 10)), 1, true);
  fs::remove(scratch / "best");
  folder.save(at_step(20, std::pair(0.5, 10)), 1, false);
  folder.save(at_step(30, std::pair(0.5, 10)), 1, false);
  EXPECT_EQ(folder.steps(), (Steps{30, 10}));
  EXPECT_EQ(folder.best(), scratch / "step-00000010.h5");
}

TEST(CheckpointFolder, RefusesToKeepNothing) {
  const ScratchFolder scratch;
  EXPECT_THROW(CheckpointFolder(scratch.path()).save(at_step(1), 0, false), UsageError);
}

TEST(CheckpointFolder, LatestFollowsTheNewestAndIsOnlyAHint) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  folder.save(at_step(10), 3, false);
  folder.save(at_step(20), 3, false);
  EXPECT_EQ(fs::read_symlink(scratch / "latest"), "step-00000020.h5");
  fs::remove(scratch / "latest");
  fs::create_symlink("step-00000010.h5", scratch / "latest");
  std::vector<std::string> warnings;
  EXPECT_EQ(folder.newest_valid(warnings)->second.step, 20);
}

TEST(CheckpointFolder, ForeignFilesAreNeitherReadNorDeleted) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  const std::set<std::string> foreign{"step-1.h5",          "step-00000005.h5.bak", "notes.txt",  "step-0000000x.h5",
                                      "xstep-00000005.h5",  "step--0000005.h5",     ".hidden.tmp", "step-000000001.h5",
                                      "step-00000005.h5 ",  ".a.convoy-tmp",        ".a.host-0-0.convoy-tmp",
                                      ".a.host-12.convoy-tmp", ".a.host-12-x.convoy-tmp", ".host-12-1.convoy-tmp",
                                      "a.host-99999-1.convoy-tmp"};
  for (const std::string& name : foreign) write_content(scratch / name, "mine");
  fs::create_directory(scratch / "step-00000099.h5");
  for (std::int64_t step : {10, 20, 30}) folder.save(at_step(step), 1, false);
  EXPECT_EQ(folder.steps(), Steps{30});
  std::set<std::string> expected = foreign;
  expected.insert({"step-00000099.h5", "step-00000030.h5", "latest"});
  EXPECT_EQ(names_in(scratch.path()), expected);
}

TEST(CheckpointFolder, NewestValidSkipsDamagedOnesAndNamesThem) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  for (std::int64_t step : {10, 20, 30}) folder.save(at_step(step), 3, false);
  damage(scratch / "step-00000030.h5");
  write_content(scratch / "step-00000040.h5", "cut short");
  fs::copy_file(scratch / "step-00000010.h5", scratch / "step-00000050.h5");
  std::vector<std::string> warnings;
  const auto newest = folder.newest_valid(warnings);
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->first, scratch / "step-00000020.h5");
  EXPECT_EQ(newest->second.step, 20);
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_NE(warnings[0].find("step-00000050.h5: holds step 10"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[1].find("step-00000040.h5: file: "), std::string::npos) << warnings[1];
  EXPECT_NE(warnings[2].find("step-00000030.h5: /parameters/w: "), std::string::npos) << warnings[2];
}

TEST(CheckpointFolder, ANewCheckpointIsNeverDroppedForALaterDamagedOne) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  write_content(scratch / "step-00000090.h5", "damaged");
  folder.save(at_step(10), 1, false);
  folder.save(at_step(20), 1, false);
  EXPECT_EQ(folder.steps(), (Steps{90, 20}));
}

TEST(CheckpointFolder, LaterCheckpointsAreSetAsideOnResume) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  folder.save(at_step(10, std::pair(0.1, 10)), 9, true);
  folder.save(at_step(20, std::pair(0.1, 10)), 9, false);
  folder.save(at_step(30, std::pair(0.2, 30)), 9, true);
  write_content(scratch / "step-00000040.h5", "damaged");
  const std::vector<std::string> warnings = folder.set_aside_after(20);
  EXPECT_EQ(warnings.size(), 2u);
  EXPECT_EQ(folder.steps(), (Steps{20, 10}));
  EXPECT_EQ(fs::read_symlink(scratch / "latest"), "step-00000020.h5");
  EXPECT_EQ(folder.best(), scratch / "step-00000010.h5");
  EXPECT_TRUE(fs::exists(scratch / "step-00000030.h5.set-aside"));
  EXPECT_TRUE(folder.set_aside_after(20).empty());
}

TEST(CheckpointFolder, SavingCleansUpAfterDeadWritersOnly) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  const std::string dead = ".step-00000009.h5.elsewhere-99999-0.convoy-tmp";
  const std::string link = ".latest." + host_name() + "-999999999-0.convoy-tmp";
  write_content(scratch / dead, "half a checkpoint");
  fs::create_symlink("nowhere", scratch / link);
  const TemporaryFile alive(scratch / "step-00000011.h5");
  folder.save(at_step(10), 1, false);
  const std::set<std::string> expected{alive.path().filename().string(), "latest", "step-00000010.h5"};
  EXPECT_EQ(names_in(scratch.path()), expected);
}

TEST(CheckpointFolder, LinksOutOfTheFolderAreNotTheBest) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  folder.save(at_step(10), 1, false);
  CheckpointFolder(scratch.path()).save(at_step(20), 1, false);
  fs::create_symlink("../step-00000020.h5", scratch / "checkpoints/best");
  EXPECT_FALSE(folder.best());
}

TEST(ResolveCheckpoint, TakesAFileAsItIs) {
  const ScratchFolder scratch;
  write_content(scratch / "any.h5", "damaged");
  EXPECT_EQ(resolve_checkpoint(scratch / "any.h5"), scratch / "any.h5");
}

TEST(ResolveCheckpoint, TakesBestElseLatestValidOfAFolder) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  folder.save(at_step(10), 9, false);
  folder.save(at_step(20), 9, false);
  EXPECT_EQ(resolve_checkpoint(scratch.path()), scratch / "checkpoints/step-00000020.h5");
  damage(scratch / "checkpoints/step-00000020.h5");
  EXPECT_EQ(resolve_checkpoint(scratch.path()), scratch / "checkpoints/step-00000010.h5");
  folder.save(at_step(30), 9, true);
  folder.save(at_step(40), 9, false);
  EXPECT_EQ(resolve_checkpoint(scratch.path()), scratch / "checkpoints/step-00000030.h5");
  EXPECT_EQ(resolve_checkpoint(scratch / "checkpoints"), scratch / "checkpoints/step-00000030.h5");
}

TEST(ResolveCheckpoint, SaysWhatIsMissing) {
  const ScratchFolder scratch;
  EXPECT_THROW(resolve_checkpoint(scratch / "missing"), UsageError);
  EXPECT_THROW(resolve_checkpoint(scratch.path()), DataError);
  write_content(scratch / "step-00000001.h5", "damaged");
  const std::string message = message_of<DataError>([&] { resolve_checkpoint(scratch.path()); });
  EXPECT_NE(message.find("step-00000001.h5"), std::string::npos) << message;
}

TEST(AtomicFile, ReplacesContentAndKeepsTheOldOnFailure) {
  const ScratchFolder scratch;
  write_file_atomically(scratch / "a", "one");
  write_file_atomically(scratch / "a", "two");
  EXPECT_EQ(test::content_of(scratch / "a"), "two");
  {
    TemporaryFile abandoned(scratch / "a");
    abandoned.write("three", 5);
  }
  EXPECT_EQ(test::content_of(scratch / "a"), "two");
  EXPECT_EQ(names_in(scratch.path()), std::set<std::string>{"a"});
}

}  // namespace
}  // namespace convoy
