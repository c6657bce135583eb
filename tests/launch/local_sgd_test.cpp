// --mode=local in whole runs.
#include <csignal>
#include <set>
#include <thread>

#include "io/checkpoint.h"
#include "training_fixture.h"

namespace convoy {
namespace {

// 540 samples in batches of 40: the first epoch ends with step 14, the second with step 27.
const std::string kMlp =
    "--mode=local --replicas=4 --average-every=6 --model.name=mlp --model.dropout=0.3 --train.batch=40 --virtual-workers=8 "
    "--train.epochs=3 --train.steps=18 --data.validation=0.1 --data.pad=2 --optim.rate=0.05 --optim.decay=1e-4 "
    "--optim.schedule=poly --device.threads=1";
// Running statistics and their averages, and replicas of 2, 3 and 3 micro-batches.
const std::string kResNet =
    "--mode=local --replicas=3 --average-every=2 --model.name=resnet-20 --train.batch=16 --virtual-workers=8 --train.epochs=1 "
    "--train.steps=4 --data.crop=12 --data.pad=1 --data.flip --optim.rate=0.05 --optim.average=ema --optim.average-decay=0.9 "
    "--reduction-dtype=bf16";

class LocalSgd : public Training {
 protected:
  static std::string newest(const std::string& run) { return (run_folder(run) / "checkpoints/latest").string(); }
  /// Without what the run record says of the mode.
  static std::string digest_apart_from_mode(const std::string& run) {
    Checkpoint checkpoint = read_checkpoint(newest(run));
    checkpoint.run_record.erase("local");
    return digest_of(checkpoint);
  }
  static std::vector<double> losses(const std::string& run) {
    std::ifstream file(run_folder(run) / "metrics.jsonl");
    std::vector<double> found;
    for (std::string line; std::getline(file, line);)
      if (const json record = json::parse(line); record["kind"] == "train") found.push_back(record["loss"]);
    return found;
  }
  /// Kilobytes that a rank sent in a step, as the run said at its end.
  static double kilobytes_sent(const Outcome& outcome) {
    const std::size_t end = outcome.err.find(" kB a rank and step");
    if (end == std::string::npos) ADD_FAILURE() << outcome.err;
    return end == std::string::npos ? 0 : std::stod(outcome.err.substr(outcome.err.rfind(' ', end - 1) + 1));
  }
};

TEST_F(LocalSgd, GivesTheSameBitsOnAnyRanksAndThreads) {
  for (const auto& [name, options, most] : {std::tuple{"mlp", kMlp, 4}, {"resnet", kResNet, 3}})
    for (int ranks = 1; ranks <= most; ++ranks) {
      const std::string run = std::string(name) + std::to_string(ranks);
      const Outcome outcome = train(ranks, run, with(options, "--device.threads=" + std::to_string(ranks == 2 ? 3 : 1)));
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(digest(run), digest(std::string(name) + "1")) << name << " on " << ranks << " ranks";
    }
}

TEST_F(LocalSgd, OfOneReplicaIsSynchronousTraining) {
  ASSERT_EQ(train(1, "one-replica", with(kMlp, "--replicas=1")).status, 0);
  ASSERT_EQ(train(2, "synchronous", with(kMlp, "--mode=sync --replicas=0 --average-every=8")).status, 0);
  EXPECT_EQ(digest_apart_from_mode("one-replica"), digest_apart_from_mode("synchronous"));
  ASSERT_EQ(train(2, "four-replicas", kMlp).status, 0);
  EXPECT_NE(digest_apart_from_mode("four-replicas"), digest_apart_from_mode("synchronous"));
}

/// Of the mathematics: updates of SGD with momentum and decay are linear in the gradient.
TEST_F(LocalSgd, AveragedInEveryStepIsSynchronousTrainingUpToRounding) {
  const std::string every = "--average-every=1 --train.log-every=1 --train.steps=10";
  ASSERT_EQ(train(2, "each-step", with(kMlp, every)).status, 0);
  ASSERT_EQ(train(2, "all-reduce", with(kMlp, "--mode=sync --replicas=0 --average-every=8 --train.log-every=1 --train.steps=10")).status, 0);
  const auto local = losses("each-step"), sync = losses("all-reduce");
  ASSERT_EQ(local.size(), 10U);
  ASSERT_EQ(sync.size(), 10U);
  for (std::size_t step = 0; step < 10; ++step) EXPECT_NEAR(local[step], sync[step], 1e-4 * sync[step]) << step;
}

TEST_F(LocalSgd, IsSynchronousBeforeTheFirstLocalEpoch) {
  const std::string post = with(kMlp, "--local-from=1 --train.steps=20");  // epoch 1 begins with the step after 14
  for (int ranks : {1, 3}) ASSERT_EQ(train(ranks, "post" + std::to_string(ranks), post).status, 0);
  EXPECT_EQ(digest("post1"), digest("post3"));
  ASSERT_EQ(train(2, "post14", with(post, "--train.steps=14")).status, 0);
  ASSERT_EQ(train(1, "sync14", with(kMlp, "--mode=sync --replicas=0 --average-every=8 --train.steps=14")).status, 0);
  EXPECT_EQ(digest_apart_from_mode("post14"), digest_apart_from_mode("sync14"));
  ASSERT_EQ(train(1, "sync20", with(kMlp, "--mode=sync --replicas=0 --average-every=8 --train.steps=20")).status, 0);
  EXPECT_NE(digest_apart_from_mode("post1"), digest_apart_from_mode("sync20"));
}

TEST_F(LocalSgd, SavesAveragesAloneAndGoesOnFromThemWithTheSameBits) {
  const std::string options = with(kMlp, "--train.steps=27 --checkpoint.every-steps=5 --checkpoint.keep=20");
  ASSERT_EQ(train(2, "calm", options).status, 0);
  EXPECT_NE(train(3, "killed", options + " --inject=kill:rank=1@step=17 --timeout=20").status, 0);
  ASSERT_EQ(train(1, "killed", options + " --resume=latest").status, 0);
  EXPECT_EQ(digest("killed"), digest("calm"));
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(run_folder("calm") / "checkpoints"))
    if (!entry.is_symlink()) files.insert(entry.path().filename().string());
  // 5 is put off to 6, 10 to 12, 15 to 18, 20 to 24, 25 to 27; epochs end with 14 and 27
  for (const char* file : {"step-00000006.h5", "step-00000012.h5", "step-00000014.h5", "step-00000018.h5", "step-00000024.h5",
                           "step-00000027.h5"})
    EXPECT_TRUE(files.contains(file)) << file;
  EXPECT_EQ(files.size(), 6U);
}

TEST_F(LocalSgd, StopsForASignalAtTheNextAverage) {
  const std::string options = with(kMlp, "--train.epochs=4000 --train.steps=0 --optim.schedule=constant --train.log-every=2");
  std::thread asker([&] {
    for (int wait = 0; wait < 4000; ++wait) {
      std::ifstream metrics(run_folder("stopped") / "metrics.jsonl");
      if (metrics.peek() != std::ifstream::traits_type::eof()) break;  // it has trained some steps
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::vector<int> pids = ranks_of(folder_->path() / "runs", "stopped");
    if (!pids.empty()) kill(pids.back(), SIGUSR2);  // one rank alone
  });
  const Outcome outcome = train(2, "stopped", options);
  asker.join();
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  const auto step = shown("stopped")["step"].get<std::int64_t>();
  const std::int64_t samples = std::stoll(read_checkpoint(newest("stopped")).run_record.at("data.samples"));
  const bool ends_epoch = step * 40 / samples > (step - 1) * 40 / samples;
  EXPECT_TRUE(step % 6 == 0 || ends_epoch) << step;
}

TEST_F(LocalSgd, LeavesOutAStepThatIsNotFiniteInAnyReplica) {
  for (int ranks : {1, 3}) {
    const std::string run = "skip" + std::to_string(ranks);
    const Outcome outcome = train(ranks, run, with(kMlp, "--train.steps=12 --data.validation=0") + " --inject=nan:sample=17 --on-nan=skip");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("sample 17"), std::string::npos) << outcome.err;
    EXPECT_EQ(digest(run), digest("skip1"));
  }
}

TEST_F(LocalSgd, GoesBackToAnAverageWhereAStepIsNotFinite) {
  const Outcome outcome =
      train(2, "rewound", with(kMlp, "--data.validation=0 --checkpoint.every-steps=3") + " --inject=nan:sample=17 --on-nan=rewind");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("Going back"), std::string::npos) << outcome.err;
  EXPECT_EQ(shown("rewound")["step"], 18);
}

TEST_F(LocalSgd, HalvesTheLossScaleOfAllReplicasAlike) {
  for (int ranks : {1, 2}) {
    const Outcome outcome = train(ranks, "fp16-" + std::to_string(ranks), with(kMlp, "--precision=fp16 --train.steps=12"));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  EXPECT_EQ(digest("fp16-1"), digest("fp16-2"));
  EXPECT_LT(read_checkpoint(newest("fp16-1")).loss_scale, 65536);
}

TEST_F(LocalSgd, FindsABitThatFlippedSinceTheAverage) {
  const Outcome outcome = train(2, "flipped", with(kMlp, "--train.audit-every=5") + " --inject=flip:tensor=any,rank=1@step=7");
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("audit at step 12"), std::string::npos) << outcome.err;
}

TEST_F(LocalSgd, SendsFewerBytesThanSynchronousTraining) {
  const double local = kilobytes_sent(train(2, "few-bytes", kMlp));
  const double sync = kilobytes_sent(train(2, "many-bytes", with(kMlp, "--mode=sync --replicas=0 --average-every=8")));
  EXPECT_LT(local, sync / 2);  // the state, with its momentum, every 4.5 steps
  EXPECT_GT(local, 0);
}

TEST_F(LocalSgd, RefusesWhatDoesNotFit) {
  const Outcome crowd = train(3, "crowd", with(kMlp, "--replicas=2"));
  EXPECT_EQ(crowd.status, 2);
  EXPECT_NE(crowd.err.find("at most 2 ranks"), std::string::npos) << crowd.err;
  const Outcome between = train(1, "between", with(kMlp, "--train.steps=16"));
  EXPECT_EQ(between.status, 2);
  EXPECT_NE(between.err.find("train.steps = 14 or 18"), std::string::npos) << between.err;
  ASSERT_EQ(train(1, "other", with(kMlp, "--train.steps=6")).status, 0);
  const Outcome other = train(1, "other", with(kMlp, "--train.steps=12 --average-every=4") + " --resume=latest");
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.err.find("average-every=6"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace convoy
