// Whole runs of every optimizer: the same bits on any ranks, after a kill and a resume; averages; fine-tuning.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "expect_message.h"
#include "training_fixture.h"

namespace convoy {
namespace {

const std::string kMlp =
    "--model.name=mlp --train.batch=40 --virtual-workers=8 --train.epochs=3 --train.steps=12 --data.validation=0.1 "
    "--data.pad=2 --optim.rate=0.01 --optim.decay=1e-3 --device.threads=1";
const std::string kResNet =
    "--model.name=resnet-20 --train.batch=8 --virtual-workers=4 --train.epochs=1 --train.steps=4 --data.crop=12 --data.pad=1 "
    "--optim.rate=0.01 --device.threads=1";

const std::pair<const char*, const char*> kOptimizers[] = {
    {"rmsprop", "--optim.name=rmsprop --optim.epsilon=1e-3 --optim.clip-value=0.1"},
    {"adam", "--optim.name=adam --optim.average=ema --optim.average-decay=0.9"},
    {"adamw", "--optim.name=adamw --optim.clip-norm=0.5"},
    {"adagrad", "--optim.name=adagrad --optim.epsilon=1e-6"},
    {"lars", "--optim.name=lars --optim.trust=0.02 --optim.clip-norm=0.5 --optim.average=polyak --optim.average-from=0.3"},
    {"sgd", "--optim.name=sgd --optim.clip-norm=0.5 --optim.average=polyak"}};

TEST_F(Training, OfEveryOptimizerGivesTheSameBitsOnOneToFourRanksAndTwoThreads) {
  for (const auto& [name, options] : kOptimizers) {
    for (int ranks = 1; ranks <= 4; ++ranks) {
      const std::string run = name + std::to_string(ranks);
      const Outcome outcome = train(ranks, run, with(kMlp + " " + options, ranks == 2 ? "--device.threads=2" : ""));
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(digest(run), digest(name + std::string("1"))) << name << " on " << ranks << " ranks";
    }
  }
  EXPECT_NE(digest("adam1"), digest("adamw1"));
}

TEST_F(Training, OfEveryOptimizerContinuesWithTheSameBitsOnAnotherWorldSize) {
  for (const auto& [name, options] : kOptimizers) {
    const std::string whole = std::string("whole-") + name, parts = std::string("parts-") + name;
    ASSERT_EQ(train(1, whole, kMlp + " " + options).status, 0);
    ASSERT_EQ(train(2, parts, with(kMlp + " " + options, "--train.steps=7")).status, 0);
    const Outcome resumed = train(3, parts, kMlp + " " + options + " --resume=latest");
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(digest(parts), digest(whole)) << name;
  }
}

TEST_F(Training, WithAdamGivesTheSameBitsAfterAKilledRank) {
  const std::string options = with(kMlp, "--train.epochs=60 --train.steps=400 --checkpoint.every-steps=20") +
                              " --optim.name=adam --optim.average=ema --optim.clip-norm=1";
  ASSERT_EQ(train(2, "calm-adam", options).status, 0);
  std::thread killer([&] {
    const auto saved = [&] { return std::filesystem::exists(run_folder("killed-adam") / "checkpoints/latest"); };
    for (int wait = 0; wait < 4000 && !saved(); ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::vector<int> pids = ranks_of(folder_->path() / "runs", "killed-adam");
    if (!pids.empty()) kill(pids.back(), SIGKILL);
  });
  train(2, "killed-adam", options);
  killer.join();
  const Outcome last = train(3, "killed-adam", options + " --resume=latest");
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(digest("killed-adam"), digest("calm-adam"));
}

TEST_F(Training, RefusesAResumeWithAnotherOptimizer) {
  ASSERT_EQ(train(1, "other", with(kMlp, "--train.steps=3")).status, 0);
  const Outcome refused = train(1, "other", kMlp + " --optim.name=lars --resume=latest");
  EXPECT_EQ(refused.status, 2);
  test::expect_parts(refused.err, {"optimizer", "sgd momentum=0.9", "lars trust=0.001"});
}

TEST_F(Training, KeepsAveragesThatEvaluateTakes) {
  ASSERT_EQ(train(1, "averaged", kResNet + " --optim.average=polyak").status, 0);
  const Outcome listed = convoy_with("checkpoint show --format=json " + (run_folder("averaged") / "checkpoints/latest").string());
  test::expect_parts(listed.out, {"averages/"});
  const std::string evaluate = "evaluate --data.split=validation --data.validation=0.1 --checkpoint=" + run_folder("averaged").string();
  const Outcome last = convoy_with(evaluate + " --format=json"), average = convoy_with(evaluate + " --format=json --weights=average");
  ASSERT_EQ(last.status, 0) << last.err;
  ASSERT_EQ(average.status, 0) << average.err;
  EXPECT_NE(last.out, average.out);

  ASSERT_EQ(train(1, "plain", with(kResNet, "--train.steps=1")).status, 0);
  const Outcome none = convoy_with("evaluate --data.split=train --checkpoint=" + run_folder("plain").string() + " --weights=average");
  EXPECT_EQ(none.status, 2);
  test::expect_parts(none.err, {"no averages", "--weights=last"});
}

TEST_F(Training, BeginsWithTheValuesOfAnotherRunAndSaysWhatDidNotFit) {
  ASSERT_EQ(train(1, "teacher", kResNet).status, 0);
  const std::string from = " --init-from=" + run_folder("teacher").string();
  const Outcome outcome = train(2, "pupil", kResNet + " --model.classes=12" + from);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  test::expect_parts(outcome.err, {"[init]", "parameters and statistics", "left at their first values: ", "(here float32 [12"});
  const std::string record = shown("pupil").dump();
  EXPECT_NE(record.find(digest("teacher")), std::string::npos) << record;
  ASSERT_EQ(train(1, "stranger", with(kResNet, "--train.steps=4 --model.classes=12")).status, 0);
  EXPECT_NE(digest("pupil"), digest("stranger"));

  // Going on needs the file no longer.
  ASSERT_EQ(train(1, "interrupted", with(kResNet + " --model.classes=12" + from, "--train.steps=2")).status, 0);
  std::filesystem::rename(run_folder("teacher"), run_folder("gone"));
  const Outcome resumed = train(1, "interrupted", kResNet + " --model.classes=12" + from + " --resume=latest");
  std::filesystem::rename(run_folder("gone"), run_folder("teacher"));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(digest("interrupted"), digest("pupil"));

  const Outcome nothing = train(1, "nothing", kMlp + from);
  EXPECT_EQ(nothing.status, 2);
  test::expect_parts(nothing.err, {"init-from", "nothing in", "fits"});
}

TEST_F(Training, LeavesFrozenLayersAndTheirStatisticsAsTheyAre) {
  ASSERT_EQ(train(1, "base", kResNet).status, 0);
  const std::string tuned = kResNet + " --init-from=" + run_folder("base").string() + " --freeze=stem,*bn*,stage1";
  for (int ranks = 1; ranks <= 3; ++ranks)
    ASSERT_EQ(train(ranks, "tuned" + std::to_string(ranks), tuned).status, 0) << ranks;
  EXPECT_EQ(digest("tuned1"), digest("tuned2"));
  EXPECT_EQ(digest("tuned1"), digest("tuned3"));
  const Outcome differences = convoy_with("checkpoint diff " + (run_folder("base") / "checkpoints/latest").string() + " " +
                                          (run_folder("tuned1") / "checkpoints/latest").string());
  EXPECT_EQ(differences.out.find("parameters/stage1"), std::string::npos) << differences.out;
  EXPECT_EQ(differences.out.find("state/stage1"), std::string::npos) << differences.out;
  EXPECT_NE(differences.out.find("parameters/stage3"), std::string::npos) << differences.out;
}

TEST_F(Training, NamesTheLayerThatAPatternMayHaveMeant) {
  const Outcome near = train(1, "near", kResNet + " --freeze=fcc");
  EXPECT_EQ(near.status, 2);
  test::expect_parts(near.err, {"freeze", "'fcc' matches no layer", "fc"});
  const Outcome far = train(1, "far", kResNet + " --optim.rate-factor=nowhere*:0.1");
  EXPECT_EQ(far.status, 2);
  test::expect_parts(far.err, {"optim.rate-factor", "the layers are "});
  const Outcome all = train(1, "all", kResNet + " --freeze=*");
  EXPECT_EQ(all.status, 2);
  test::expect_parts(all.err, {"nothing is left to train"});
}

TEST_F(Training, WithAFactorOnTheRateOfALayerHasOtherBits) {
  ASSERT_EQ(train(1, "even", kMlp).status, 0);
  ASSERT_EQ(train(1, "uneven", kMlp + " --optim.rate-factor=*:0.5").status, 0);
  EXPECT_NE(digest("even"), digest("uneven"));
}

}  // namespace
}  // namespace convoy
