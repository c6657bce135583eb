// Faults that --inject makes, as a user would see them met: named, survived, and without another bit in the result.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "training_fixture.h"

namespace convoy {
namespace {

using Faults = Training;

// 15 steps an epoch; every sample comes once in each.
const std::string kRun =
    "--model.name=mlp --train.batch=40 --virtual-workers=8 --train.epochs=60 --train.steps=40 --optim.rate=0.05 "
    "--data.pad=2 --checkpoint.every-steps=10 --checkpoint.every-epochs=0 --train.audit-every=5 --train.log-every=5 --device.threads=1";

std::string calm_digest() {
  static const std::string digest = [] {
    struct Run : Training {
      void TestBody() override {}
      static std::string digest_of_calm() {
        EXPECT_EQ(train(1, "calm", kRun).status, 0);
        return digest("calm");
      }
    };
    return Run::digest_of_calm();
  }();
  return digest;
}

bool says(const Outcome& outcome, const std::string& words) { return outcome.err.find(words) != std::string::npos; }

TEST_F(Faults, NameTheSampleAndTheOpOfTheFirstNaN) {
  const Outcome outcome = train(3, "nan", kRun + " '--inject=nan:sample=123'");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "the first NaN came from the op prepare, for sample 123 (")) << outcome.err;
  EXPECT_TRUE(says(outcome, "train-00000-of-00003.h5, sample 123")) << outcome.err;
}

TEST_F(Faults, LeaveOutTheStepsOfABadSampleWithTheSameBitsOnAnyWorldSize) {
  for (int ranks : {1, 3}) {
    const Outcome outcome = train(ranks, "skip" + std::to_string(ranks), kRun + " --on-nan=skip '--inject=nan:sample=123'");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  EXPECT_EQ(shown("skip1")["skipped_steps"].size(), 2U);  // epochs 0 and 1; not yet in the part of epoch 2
  EXPECT_EQ(digest("skip1"), digest("skip3"));
  EXPECT_NE(digest("skip1"), calm_digest());
}

TEST_F(Faults, GoBackToACheckpointWithTheSameBitsOnAnyWorldSize) {
  for (int ranks : {1, 2}) {
    const Outcome outcome = train(ranks, "back" + std::to_string(ranks), kRun + " --on-nan=rewind '--inject=nan:sample=123'");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(says(outcome, "Going back")) << outcome.err;
  }
  EXPECT_EQ(digest("back1"), digest("back2"));
  EXPECT_EQ(shown("back1")["skipped_steps"].size(), 2U);
}

TEST_F(Faults, GoBackThreeTimesAtMost) {
  const Outcome outcome =
      train(2, "back4", with(kRun, "--train.steps=70") + " --on-nan=rewind '--inject=nan:sample=123'");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "The run has gone back 3 times already")) << outcome.err;
}

TEST_F(Faults, NameTheRankAndTensorWhereABitFlippedAndGoOnFromTheAuditedCheckpoint) {
  const std::string options = kRun + " '--inject=flip:tensor=hidden1,rank=1@step=23'";
  const Outcome outcome = train(3, "flip", options);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "audit at step 25: ")) << outcome.err;
  EXPECT_TRUE(says(outcome, "/hidden1/")) << outcome.err;
  EXPECT_TRUE(says(outcome, "differs on rank 1 from the 2 ranks that agree")) << outcome.err;
  EXPECT_EQ(status("flip")["rank"], 1);
  ASSERT_EQ(train(3, "flip", options + " --resume=latest").status, 0);
  EXPECT_EQ(digest("flip"), calm_digest());
}

TEST_F(Faults, NameNoRankWhereTwoDisagree) {
  const Outcome outcome = train(2, "two", kRun + " '--inject=flip:tensor=hidden1,rank=1@step=23'");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "differs between ranks 0, 1, and no copy has a majority")) << outcome.err;
  EXPECT_TRUE(status("two")["rank"].is_null());
}

TEST_F(Faults, EndTheRunWhoseFolderIsMovedAway) {
  const auto folder = run_folder("moved");
  std::thread mover([&] {
    for (int wait = 0; wait < 4000 && !std::filesystem::exists(folder / "checkpoints/latest"); ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::error_code error;
    std::filesystem::rename(folder, run_folder("moved-away"), error);
  });
  const Outcome outcome = train(2, "moved", with(kRun, "--train.steps=0 --train.epochs=100000"));
  mover.join();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "was moved or removed while the run used it")) << outcome.err;
}

TEST_F(Faults, StrikeOnceAlsoAfterARefusedCommand) {
  const std::string options = kRun + " '--inject=kill:rank=1@step=23'";
  EXPECT_NE(train(2, "once", options).status, 0);
  EXPECT_EQ(train(2, "once", options).status, 2);  // it holds checkpoints: without --resume that is refused
  const Outcome last = train(2, "once", options + " --resume=latest");
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(digest("once"), calm_digest());
}

TEST_F(Faults, MendATensorByTheMajoritysCopy) {
  const Outcome outcome = train(3, "mended", kRun + " --on-audit=repair '--inject=flip:tensor=hidden1,rank=0@step=25'");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(says(outcome, "Repaired by the majority's copy")) << outcome.err;
  EXPECT_EQ(digest("mended"), calm_digest());  // found in the step in which it happened
}

TEST_F(Faults, TryAgainAtTheNextSaveAfterAFullDisk) {
  const Outcome outcome = train(2, "full", kRun + " '--inject=enospc@checkpoint=2'");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(says(outcome, "step 20 could not be saved: ")) << outcome.err;
  EXPECT_TRUE(says(outcome, "No space left on device")) << outcome.err;
  EXPECT_TRUE(says(outcome, "The newest complete one is checkpoints/step-00000010.h5")) << outcome.err;
  EXPECT_EQ(digest("full"), calm_digest());
}

TEST_F(Faults, SaveTheLastCheckpointAtTheSecondTry) {
  const Outcome outcome = train(1, "last", kRun + " '--inject=eio@checkpoint=4'");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(digest("last"), calm_digest());
}

TEST_F(Faults, EndTheRunWhenThreeSavesInARowFail) {
  const Outcome outcome =
      train(2, "lost", kRun + " '--inject=eio@checkpoint=2;eio@checkpoint=3;eio@checkpoint=4'");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "3 saves in a row failed")) << outcome.err;
  EXPECT_EQ(status("lost")["checkpoint"], "checkpoints/step-00000010.h5");
}

TEST_F(Faults, GoOnAfterAKillInTheMidstOfASave) {
  const std::string options = kRun + " '--inject=kill@checkpoint=2'";
  EXPECT_NE(train(2, "killed-saving", options).status, 0);
  EXPECT_TRUE(std::filesystem::exists(run_folder("killed-saving") / "checkpoints/step-00000010.h5"));
  const Outcome second = train(3, "killed-saving", options + " --resume=latest");
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(digest("killed-saving"), calm_digest());
}

TEST_F(Faults, NameASlowRankWithItsCause) {
  for (const std::string part : {"compute", "input"}) {
    const Outcome outcome = train(3, "slow-" + part, kRun + " '--inject=slow:rank=1," + part + "=40ms'");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(says(outcome, "slow: rank 1, " + part)) << outcome.err;
    EXPECT_EQ(digest("slow-" + part), calm_digest());
  }
}

}  // namespace
}  // namespace convoy
