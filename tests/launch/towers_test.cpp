// --mode=model in whole runs: AlexNet's two towers on pairs of ranks.
#include <csignal>
#include <thread>

#include "training_fixture.h"

namespace convoy {
namespace {

// Some 180 samples in batches of 48: the first epoch ends with step 4. Dropout, slots and averages are AlexNet's whole state.
const std::string kAlexNet =
    "--mode=model --model.name=alexnet --data.pad=18 --data.crop=63 --train.batch=48 --virtual-workers=4 --train.epochs=2 "
    "--train.steps=5 --data.validation=0.7 --optim.rate=0.001 --optim.decay=5e-4 --optim.average=ema --optim.average-decay=0.9 "
    "--device.threads=1 --checkpoint.every-epochs=0";

class Towers : public Training {
 protected:
  /// The loss of the only validation.
  static double validation_loss(const std::string& run) {
    std::ifstream file(run_folder(run) / "metrics.jsonl");
    for (std::string line; std::getline(file, line);)
      if (const json record = json::parse(line); record["kind"] == "validation") return record["loss"];
    ADD_FAILURE() << run << ": no validation";
    return 0;
  }
};

TEST_F(Towers, GiveTheSameBitsOnOneRankAndOnPairs) {
  ASSERT_EQ(train(1, "sync", with(kAlexNet, "--mode=sync")).status, 0);
  for (int ranks : {1, 2, 4}) {
    const std::string run = "towers" + std::to_string(ranks);
    const Outcome outcome = train(ranks, run, with(kAlexNet, "--device.threads=" + std::to_string(ranks == 2 ? 2 : 1)));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), digest("sync")) << ranks << " ranks";
    EXPECT_EQ(validation_loss(run), validation_loss("sync")) << "the parameters of both towers, after step 4, which saves nothing";
  }
}

TEST_F(Towers, GoOnWithTheSameBitsOnAnotherNumberOfRanks) {
  const std::string options = with(kAlexNet, "--precision=bf16 --recompute=blocks --data.validation=0 --optim.name=lars --optim.trust=0.01");
  ASSERT_EQ(train(1, "whole", options).status, 0);
  EXPECT_NE(train(2, "parts", options + " --checkpoint.every-steps=1 --inject=kill:rank=1@step=3 --timeout=20").status, 0);
  ASSERT_EQ(train(4, "parts", with(options, "--mode=model --train.steps=3") + " --resume=latest").status, 0);
  ASSERT_EQ(train(1, "parts", with(options, "--mode=sync") + " --resume=latest").status, 0);
  EXPECT_EQ(digest("parts"), digest("whole"));
}

TEST_F(Towers, LeaveOutAStepThatIsNotFiniteTogether) {
  const std::string options = with(kAlexNet, "--data.validation=0 --train.batch=24 --train.steps=26") + " --inject=nan:sample=17 --on-nan=skip";
  for (int ranks : {1, 2}) {
    const Outcome outcome = train(ranks, "skip" + std::to_string(ranks), options);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("came from the op prepare, for sample 17"), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(digest("skip2"), digest("skip1"));
}

TEST_F(Towers, FindABitThatFlippedInATensorOfEitherTower) {
  const Outcome outcome = train(4, "flipped", with(kAlexNet, "--data.validation=0 --train.audit-every=2") +
                                                  " --inject=flip:tensor=tower0/conv2/filters,rank=3@step=2");
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("parameters/tower0/conv2/filters differs on rank 3"), std::string::npos) << outcome.err;
}

TEST_F(Towers, StopTogetherForASignalToOneOfThem) {
  const std::string options = with(kAlexNet, "--data.validation=0 --train.batch=8 --train.epochs=100 --train.steps=0 --train.log-every=1");
  std::thread asker([&] {
    for (int wait = 0; wait < 8000; ++wait) {
      std::ifstream metrics(run_folder("stopped") / "metrics.jsonl");
      if (metrics.peek() != std::ifstream::traits_type::eof()) break;  // it has trained some steps
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::vector<int> pids = ranks_of(folder_->path() / "runs", "stopped");
    if (!pids.empty()) kill(pids.back(), SIGUSR2);
  });
  const Outcome outcome = train(2, "stopped", options);
  asker.join();
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  EXPECT_EQ(shown("stopped")["step"], status("stopped")["step"]);
}

TEST_F(Towers, SaySoWhereTheyDoNotFit) {
  const Outcome odd = train(3, "odd", kAlexNet);
  EXPECT_EQ(odd.status, 2);
  EXPECT_NE(odd.err.find("start 2 ranks or 4, or one"), std::string::npos) << odd.err;
  for (const char* model : {"--model.name=mlp", "--model.name=alexnet --model.towers=1"}) {
    const Outcome none = train(2, "none", with(kAlexNet, model));
    EXPECT_EQ(none.status, 2);
    EXPECT_NE(none.err.find("networks of two towers: alexnet"), std::string::npos) << none.err;
  }
}

TEST_F(Towers, TakeHalfOfTheReductionsMemoryOnEachRank) {
  const auto planned = [](const std::string& mode) {
    const Outcome outcome = convoy_with("plan --format=json --ranks=2 --data.path=" + (folder_->path() / "data").string() + " " + with(kAlexNet, mode));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status == 0 ? json::parse(outcome.out)["bytes_per_rank"] : json();
  };
  const json model = planned("--mode=model"), sync = planned("--mode=sync");
  EXPECT_LT(model["activations"], sync["activations"]);
  EXPECT_NEAR(model["leaf_gradients"].get<double>() / sync["leaf_gradients"].get<double>(), 0.5, 0.01);
  EXPECT_EQ(model["parameters"], sync["parameters"]);
}

}  // namespace
}  // namespace convoy
