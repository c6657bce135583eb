// The promise, as a user would check it: the binary under mpirun, its checkpoints' digests, its exit statuses.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "training_fixture.h"

namespace convoy {
namespace {

// Batch norm, crops, flips, momentum, decay, a schedule, an epoch's end and a validation split: all of a run's state.
const std::string kResNet =
    "--model.name=resnet-20 --train.batch=16 --virtual-workers=8 --train.epochs=1 --train.steps=4 --data.crop=12 "
    "--data.pad=1 --data.flip --optim.rate=0.05 --optim.decay=1e-4 --optim.schedule=cosine --distributed.bucket-bytes=65536";
const std::string kMlp =
    "--model.name=mlp --model.dropout=0.3 --train.batch=40 --virtual-workers=8 --train.epochs=3 --data.validation=0.1 "
    "--data.pad=2 --optim.rate=0.05 --optim.nesterov --optim.schedule=poly --optim.warmup-epochs=1";

TEST_F(Training, GivesTheSameBitsOnOneToFourRanks) {
  for (const auto& [name, options] : {std::pair{"resnet", kResNet}, {"mlp", kMlp}}) {
    std::string first;
    for (int ranks = 1; ranks <= 4; ++ranks) {
      const std::string run = std::string(name) + std::to_string(ranks);
      const Outcome outcome = train(ranks, run, options + " --device.threads=1");
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      if (first.empty()) first = digest(run);
      EXPECT_EQ(digest(run), first) << name << " on " << ranks << " ranks";
      EXPECT_EQ(status(run)["status"], 0);
    }
  }
}

TEST_F(Training, GivesTheSameBitsOnOneAndTwoThreads) {
  for (int threads = 1; threads <= 2; ++threads)
    ASSERT_EQ(train(1, "threads" + std::to_string(threads), with(kMlp, "--device.threads=" + std::to_string(threads))).status, 0);
  EXPECT_EQ(digest("threads1"), digest("threads2"));
}

TEST_F(Training, GivesTheSameBitsOnAnyRanksAndThreadsWithGradientsRoundedToBf16) {
  const std::string options = with(kResNet, "--reduction-dtype=bf16 --virtual-workers=7 --train.batch=14");  // an odd tree
  for (int ranks = 1; ranks <= 4; ++ranks) {
    const Outcome outcome = train(ranks, "rounded" + std::to_string(ranks),
                                  options + " --device.threads=" + std::to_string(ranks == 2 ? 2 : 1));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest("rounded" + std::to_string(ranks)), digest("rounded1")) << ranks << " ranks";
  }
  ASSERT_EQ(train(2, "not-rounded", with(options, "--reduction-dtype=fp32")).status, 0);
  EXPECT_NE(digest("not-rounded"), digest("rounded1"));
}

TEST_F(Training, RefusesAResumeWithAnotherReductionType) {
  ASSERT_EQ(train(1, "retyped", with(kMlp, "--train.steps=3 --reduction-dtype=bf16")).status, 0);
  const Outcome refused = train(1, "retyped", with(kMlp, "--train.steps=5 --resume=latest"));
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("reduction-dtype"), std::string::npos) << refused.err;
}

TEST_F(Training, GivesOtherBitsForAnotherSeed) {
  ASSERT_EQ(train(1, "seed1", with(kMlp, "--train.steps=3")).status, 0);
  ASSERT_EQ(train(1, "seed2", with(kMlp, "--train.steps=3 --seed=2")).status, 0);
  EXPECT_NE(digest("seed1"), digest("seed2"));
}

TEST_F(Training, ContinuesWithTheSameBitsOnAnotherWorldSize) {
  ASSERT_EQ(train(2, "whole", with(kMlp, "--train.steps=30")).status, 0);
  ASSERT_EQ(train(3, "parts", with(kMlp, "--train.steps=17")).status, 0);
  ASSERT_EQ(train(1, "parts", with(kMlp, "--train.steps=30 --resume=latest")).status, 0);
  EXPECT_EQ(digest("parts"), digest("whole"));
}

TEST_F(Training, GivesTheSameBitsAfterAKilledRankAndAResumeOnAnotherWorldSize) {
  const std::string options = with(kMlp, "--train.epochs=60 --train.steps=700 --checkpoint.every-steps=20 --device.threads=1");
  ASSERT_EQ(train(2, "calm", options).status, 0);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int life = 0; life < 3; ++life) {
    std::thread killer([&] {
      std::vector<int> pids;
      for (int wait = 0; wait < 2000 && pids.empty(); ++wait) {
        pids = ranks_of(folder_->path() / "runs", "killed");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 1500));
      pids = ranks_of(folder_->path() / "runs", "killed");
      if (!pids.empty()) kill(pids[random() % pids.size()], SIGKILL);
    });
    train(2 + life % 2, "killed", options + " --resume=latest");
    killer.join();
  }
  const Outcome last = train(3, "killed", options + " --resume=latest");
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(digest("killed"), digest("calm"));
}

TEST_F(Training, EndsWithStatus75AndACheckpointWhenAskedToStop) {
  const std::string options = with(kMlp, "--train.epochs=4000 --optim.schedule=constant --optim.warmup-epochs=0");
  std::thread asker([&] {
    for (int wait = 0; wait < 4000; ++wait) {
      std::ifstream metrics(run_folder("stopped") / "metrics.jsonl");
      if (metrics.peek() != std::ifstream::traits_type::eof()) break;  // it has trained some steps
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::vector<int> pids = ranks_of(folder_->path() / "runs", "stopped");
    if (!pids.empty()) kill(pids.back(), SIGUSR2);  // one rank alone
  });
  const Outcome outcome = train(2, "stopped", options + " --train.log-every=2");
  asker.join();
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  EXPECT_EQ(status("stopped")["status"], 75);
  EXPECT_EQ(shown("stopped")["step"], status("stopped")["step"]);
}

TEST_F(Training, StopsEveryRankWithOneMessageWhenTheLossIsNotFinite) {
  const Outcome outcome = train(3, "diverged", with(kMlp, "--optim.rate=1e6 --optim.warmup-epochs=0"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(lines_in(outcome.err.substr(outcome.err.find("convoy: "))), 1) << outcome.err;
  EXPECT_NE(outcome.err.find("--on-nan=stop"), std::string::npos) << outcome.err;
  EXPECT_EQ(status("diverged")["status"], 1);
}

TEST_F(Training, StopsEveryRankWhenOneMeetsADamagedSample) {
  const auto data = folder_->path() / "damaged";
  std::filesystem::copy(folder_->path() / "data", data);
  const auto shard = data / "train-00001-of-00003.h5";
  std::string bytes = bytes_of(shard);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);  // pixels are most of the file
  write_bytes(shard, bytes);
  const Outcome outcome = train(3, "bad-sample", with(kMlp, "--data.validation=0") + " --data.path=" + data.string());
  EXPECT_EQ(outcome.status, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("train-00001-of-00003.h5, sample"), std::string::npos) << outcome.err;
  EXPECT_EQ(status("bad-sample")["status"], 3);
}

TEST_F(Training, RefusesAResumeThatWouldChangeTheBitsAndSaysWhatDiffers) {
  ASSERT_EQ(train(1, "changed", with(kMlp, "--train.steps=3")).status, 0);
  const Outcome refused = train(1, "changed", with(kMlp, "--train.steps=5 --resume=latest --virtual-workers=4"));
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("virtual-workers"), std::string::npos) << refused.err;
  EXPECT_EQ(train(1, "changed", with(kMlp, "--train.steps=5 --resume=latest --virtual-workers=4 --allow-changed")).status, 0);
}

TEST_F(Training, GoesOnWithAnotherBatchWhereTheUserAllowsIt) {
  ASSERT_EQ(train(1, "rebatched", with(kMlp, "--train.steps=20")).status, 0);
  const Outcome outcome = train(2, "rebatched", with(kMlp, "--train.batch=80 --train.steps=40 --resume=latest --allow-changed"));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("no longer guaranteed"), std::string::npos) << outcome.err;
}

TEST_F(Training, KeepsTheDigestWhateverTheBuckets) {
  ASSERT_EQ(train(1, "one-bucket", with(kMlp, "--train.steps=5")).status, 0);
  ASSERT_EQ(train(2, "many-buckets", with(kMlp, "--train.steps=5 --distributed.bucket-bytes=100")).status, 0);
  EXPECT_EQ(digest("one-bucket"), digest("many-buckets"));
}

TEST_F(Training, LeavesTheStatusOfARunWhereACommandIsRefused) {
  ASSERT_EQ(train(1, "refused", with(kMlp, "--train.steps=3")).status, 0);
  ASSERT_EQ(train(1, "refused", with(kMlp, "--train.steps=5 --resume=latest --seed=7")).status, 2);
  EXPECT_EQ(status("refused")["status"], 0);
  ASSERT_EQ(train(2, "refused", with(kMlp, "--train.steps=5 --resume=latest --data.path=nowhere")).status, 3);
  EXPECT_EQ(status("refused")["status"], 3);
}

TEST_F(Training, HasNothingToDoBeyondItsLastStep) {
  ASSERT_EQ(train(1, "beyond", with(kMlp, "--train.steps=6")).status, 0);
  const Outcome outcome = train(1, "beyond", with(kMlp, "--train.steps=4 --resume=latest"));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("nothing to do"), std::string::npos) << outcome.err;
  EXPECT_EQ(shown("beyond")["step"], 6);
}

TEST_F(Training, BeginsARunFromAnotherRunsCheckpoint) {
  ASSERT_EQ(train(1, "parent", with(kMlp, "--train.steps=6")).status, 0);
  const Outcome outcome = train(1, "child", with(kMlp, "--train.steps=6") + " --resume=" + run_folder("parent").string());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(digest("child"), digest("parent"));
}

TEST_F(Training, RefusesToBeginAnewWhereEveryCheckpointIsDamaged) {
  ASSERT_EQ(train(1, "all-damaged", with(kMlp, "--train.steps=3")).status, 0);
  for (const auto& entry : std::filesystem::directory_iterator(run_folder("all-damaged") / "checkpoints"))
    if (!entry.is_symlink()) std::filesystem::resize_file(entry.path(), 1000);
  const Outcome outcome = train(1, "all-damaged", with(kMlp, "--train.steps=5 --resume=latest"));
  EXPECT_EQ(outcome.status, 3);
  EXPECT_NE(outcome.err.find("step-00000003.h5"), std::string::npos) << outcome.err;
}

TEST_F(Training, GivesTheSameBitsWhenALifeEndsWithAnEpoch) {
  const std::string options = with(kMlp, "--train.epochs=4 --train.steps=30");
  ASSERT_EQ(train(1, "one-life", options).status, 0);
  // about 540 samples in batches of 40: the first epoch ends with step 14
  ASSERT_EQ(train(1, "two-lives", with(options, "--train.steps=14")).status, 0);
  ASSERT_EQ(train(1, "two-lives", options + " --resume=latest").status, 0);
  EXPECT_EQ(digest("two-lives"), digest("one-life"));
}

TEST_F(Training, RefusesToOverwriteARunThatHasCheckpoints) {
  ASSERT_EQ(train(1, "twice", with(kMlp, "--train.steps=2")).status, 0);
  const Outcome again = train(1, "twice", with(kMlp, "--train.steps=2"));
  EXPECT_EQ(again.status, 2);
  EXPECT_NE(again.err.find("--resume=latest"), std::string::npos) << again.err;
}

TEST_F(Training, RefusesMoreRanksThanMicroBatches) {
  const Outcome outcome = train(3, "crowd", with(kMlp, "--virtual-workers=2"));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("virtual-workers"), std::string::npos) << outcome.err;
}

TEST_F(Training, LearnsAndIsEvaluatedAlikeOnOneToThreeRanks) {
  ASSERT_EQ(train(2, "learned", "--model.name=lenet-5 --model.variant=modern --train.batch=40 --train.epochs=3 "
                                "--optim.rate=0.01").status, 0);
  std::string first;
  for (int ranks = 1; ranks <= 3; ++ranks) {
    const Outcome outcome = run_command(std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " '" + CONVOY_BINARY +
                                        "' evaluate --format=json --checkpoint=" + run_folder("learned").string());
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    if (first.empty()) first = outcome.out;
    EXPECT_EQ(outcome.out, first) << ranks << " ranks";
  }
  const json result = json::parse(first);
  EXPECT_EQ(result["samples"], 101);
  EXPECT_GT(result["top1"], 0.9);
  EXPECT_TRUE(std::filesystem::exists(run_folder("learned") / "confusion.png"));
  EXPECT_TRUE(std::filesystem::exists(run_folder("learned") / "mistakes.png"));
}

TEST_F(Training, BringsTheFastAndTheRoundedReductionToTheSameLossUpToRounding) {
  ASSERT_EQ(train(2, "fast", with(kMlp, "--reduction=fast --train.steps=12 --train.log-every=12")).status, 0);
  ASSERT_EQ(train(2, "tree", with(kMlp, "--train.steps=12 --train.log-every=12")).status, 0);
  const auto loss = [](const std::string& run) {  // a save's record may come before it
    std::ifstream file(run_folder(run) / "metrics.jsonl");
    for (std::string line; std::getline(file, line);)
      if (const json record = json::parse(line); record["kind"] == "train") return record["loss"].get<double>();
    ADD_FAILURE() << run << ": no record of training";
    return 0.0;
  };
  EXPECT_NEAR(loss("fast"), loss("tree"), 1e-3);
  ASSERT_EQ(train(2, "narrow", with(kMlp, "--reduction-dtype=bf16 --train.steps=12 --train.log-every=12")).status, 0);
  EXPECT_NEAR(loss("narrow"), loss("tree"), 0.02 * loss("tree"));
}

TEST_F(Training, PrintsThePlanOfARun) {
  const Outcome outcome = convoy_with("plan --format=json --programs --ranks=2 --data.path=" +
                                      (folder_->path() / "data").string() + " " + kResNet);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json plan = json::parse(outcome.out);
  EXPECT_GT(plan["bytes_per_rank"]["activations"], 0);
  EXPECT_GT(plan["programs"]["micro_batch"]["ops"].size(), 100U);
  EXPECT_EQ(plan["programs"]["update"]["ops"][0]["op"], "finish_reduction(0)");
}

}  // namespace
}  // namespace convoy
