// convoy checkpoint diff and repair, and long lists of tensors in show.
#include <gtest/gtest.h>

#include "io/checkpoint_samples.h"
#include "io/run_lock.h"
#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// A run with one checkpoint of step 5 and its content.
class SmallRun {
 public:
  SmallRun() : file(CheckpointFolder(folder / "checkpoints").save(content(), 3, true)), good(test::content_of(file)) {}
  static Checkpoint content() {
    Checkpoint checkpoint = test::sample_checkpoint(5);
    checkpoint.config = "[train]\nepochs = 5\n";
    return checkpoint;
  }
  std::string path() const { return "'" + folder.path().string() + "'"; }
  /// Flips so many bits of the config.
  void damage(std::size_t bits) const {
    std::string bad = good;
    const std::size_t at = bad.find("epochs");
    for (std::size_t i = 0; i < bits; ++i) bad[at + i] ^= 4;
    test::write_content(file, bad);
  }

  test::ScratchFolder folder;
  fs::path file;
  std::string good;
};

TEST(CheckpointDiffCommand, EndsWithZeroForTheSameDigestAndOneForAnother) {
  const SmallRun a, b;
  const Outcome same = convoy_with("checkpoint diff " + a.path() + " " + b.path());
  EXPECT_EQ(same.status, 0) << same.err;
  test::expect_parts(same.out, {"tensors: 0 of 13 differ", "\nsame "});
  Checkpoint other = SmallRun::content();
  other.parameters["conv1/bias"].values<float>()[2] = 1;
  CheckpointFolder(b.folder / "checkpoints").save(other, 3, true);
  const Outcome different = convoy_with("checkpoint diff " + a.path() + " " + b.path());
  EXPECT_EQ(different.status, 1);
  EXPECT_EQ(different.err, "");
  test::expect_parts(different.out, {"parameters/conv1/bias float32 [6]: 1 of 6 elements differ, first [2]: ", "\ndifferent "});
}

TEST(CheckpointDiffCommand, ADamagedFileIsBadDataAndAMissingOneWrongUsage) {
  const SmallRun a, b;
  b.damage(1);
  EXPECT_EQ(convoy_with("checkpoint diff " + a.path() + " '" + b.file.string() + "'").status, 3);
  EXPECT_EQ(convoy_with("checkpoint diff " + a.path()).status, 2);
  EXPECT_EQ(convoy_with("checkpoint diff " + a.path() + " no/such").status, 2);
}

TEST(CheckpointRepairCommand, RepairsARunAndSaysWhatItChanged) {
  const SmallRun run;
  run.damage(1);
  const Outcome dry = convoy_with("checkpoint repair --dry-run " + run.path());
  EXPECT_EQ(dry.status, 0) << dry.err;
  test::expect_parts(dry.out, {"/config [8]: bit 2, 97 -> 101", "dry run: nothing was changed"});
  EXPECT_NE(test::content_of(run.file), run.good);
  const Outcome outcome = convoy_with("checkpoint repair " + run.path());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  test::expect_parts(outcome.out, {"/config [8]: bit 2, 97 -> 101", "1 checkpoints: 0 good, 1 repaired, 0 damaged"});
  EXPECT_EQ(test::content_of(run.file), run.good);
  EXPECT_EQ(convoy_with("checkpoint verify " + run.path()).status, 0);
}

TEST(CheckpointRepairCommand, WhatCannotBeRepairedIsBadData) {
  const SmallRun run;
  run.damage(2);
  const Outcome file = convoy_with("checkpoint repair '" + run.file.string() + "'");
  EXPECT_EQ(file.status, 3);
  test::expect_parts(file.out, {"DAMAGED, and cannot be repaired", "/config: ", "more than one bit is wrong"});
  EXPECT_TRUE(fs::exists(run.file));
  EXPECT_EQ(convoy_with("checkpoint repair " + run.path()).status, 3);
  EXPECT_FALSE(fs::exists(run.file));
  EXPECT_TRUE(fs::exists(run.file.string() + ".damaged"));
  EXPECT_EQ(convoy_with("checkpoint repair no/such").status, 2);
}

TEST(CheckpointRepairCommand, LeavesARunThatIsInUseAlone) {
  const SmallRun run;
  run.damage(1);
  const std::string bad = test::content_of(run.file);
  const RunLock lock(run.folder.path());
  for (const std::string& path : {run.path(), "'" + run.file.string() + "'", run.path() + " --dry-run"}) {
    const Outcome outcome = convoy_with("checkpoint repair " + path);
    EXPECT_EQ(outcome.status, 2) << path;
    test::expect_parts(outcome.err, {"in use"});
  }
  EXPECT_EQ(test::content_of(run.file), bad);
}

TEST(CheckpointShow, NamesTheFirstTwentyTensorsUnlessAllAreAskedFor) {
  const test::ScratchFolder folder;
  Checkpoint checkpoint;
  for (int i = 0; i < 30; ++i) checkpoint.parameters["layer" + std::to_string(100 + i)] = Tensor(Shape{2}, DType::f32);
  write_checkpoint(folder / "a.h5", checkpoint);
  const std::string file = "'" + (folder / "a.h5").string() + "'";
  const Outcome some = convoy_with("checkpoint show " + file), all = convoy_with("checkpoint show --all " + file);
  test::expect_parts(some.out, {"parameters/layer119", "and 10 more (--all shows them)"});
  EXPECT_EQ(some.out.find("layer120"), std::string::npos);
  test::expect_parts(all.out, {"parameters/layer129"});
  test::expect_parts(convoy_with("checkpoint show --format=json " + file).out, {"parameters/layer129"});
}

}  // namespace
}  // namespace convoy
