// A rank of a real training run is stopped, killed or slow: what the user reads, what status.json says, and what is left.
#include "training_fixture.h"

namespace convoy {
namespace {

using WatchedTraining = Training;

const std::string kRun =
    "--model.name=mlp --train.batch=40 --virtual-workers=8 --train.epochs=60 --optim.rate=0.05 --device.threads=1 "
    "--checkpoint.every-steps=10 --train.steps=60";

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), text.npos) << "missing: " << part << "\nin: " << text;
}

bool all_gone(const std::filesystem::path& runs, const std::string& run) {
  return eventually([&] { return ranks_of(runs, run).empty(); });
}

TEST_F(WatchedTraining, ThatLosesARankNamesItInOneMessageAndInStatusJsonAndGoesOnAfterwards) {
  struct Case {
    const char *inject, *happened;
    int rank;
  };
  for (const Case& fault : {Case{"stop:rank=1@step=25", "is stopped (SIGSTOP): no beat for ", 1},
                            Case{"stop:rank=0@step=25", "is stopped (SIGSTOP): no beat for ", 0},
                            Case{"kill:rank=2@step=25", "was killed or crashed: its process is gone; ", 2},
                            Case{"kill:rank=0@step=25", "was killed or crashed: its process is gone; ", 0}}) {
    const std::string run = std::string(fault.inject).substr(0, 4) + std::to_string(fault.rank);
    const Outcome outcome = train(3, run, kRun + " '--inject=" + fault.inject + "'");
    EXPECT_TRUE(outcome.status == 1 || outcome.status == 137) << outcome.status << outcome.err;
    const std::string name = "rank " + std::to_string(fault.rank) + " (host ";
    expect_parts(outcome.err, {"convoy: " + name, fault.happened, " ago it was in step ", " wait for it in "});
    // The flight recorder is some 20 ms behind, more on a busy machine, and steps take a millisecond or two here.
    const std::string before = " ago it was in step ";
    if (const auto at = outcome.err.find(before); at != std::string::npos) {
      const int step = std::atoi(outcome.err.c_str() + at + before.size());
      EXPECT_GE(step, 1) << outcome.err;
      EXPECT_LE(step, 25) << outcome.err;
    }
    EXPECT_EQ(outcome.err.find("convoy: "), outcome.err.rfind("convoy: ")) << outcome.err;
    const json told = status(run);
    ASSERT_TRUE(told.is_object()) << outcome.err;
    EXPECT_EQ(told["status"], 1);
    EXPECT_EQ(told["rank"], fault.rank);
    EXPECT_EQ(told["reason"].get<std::string>().find(name), 0U) << told;
    EXPECT_FALSE(told["checkpoint"].is_null());
    EXPECT_TRUE(all_gone(run_folder(run).parent_path(), run));
    const Outcome next = train(3, run, kRun + " --resume=latest");
    EXPECT_EQ(next.status, 0) << next.err;
    EXPECT_EQ(status(run)["step"], 60);
  }
}

TEST_F(WatchedTraining, ThatOneRanksInputHoldsUpTellsSoAndGoesOn) {
  const Outcome outcome = train(2, "slow", with(kRun, "--train.steps=5") + " '--inject=slow:rank=1,input=36s@step=3'");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  expect_parts(outcome.err, {"[watch] rank 1 (host ", "is late: step 3, input: ", "rank 0 waits for it in gradient bucket 0 of step 3",
                             "the run goes on; it ends when a wait reaches "});
}

TEST_F(WatchedTraining, EndsAtTheTimeoutWithTheRankThatNeverEntersAReduction) {
  const Outcome outcome = train(3, "hang", kRun + " --timeout=8 '--inject=hang:rank=1@step=25'");
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  expect_parts(outcome.err, {"for rank 1 in gradient bucket 0 of step 25; rank 1 (host ", "): step 25, "});
  EXPECT_EQ(status("hang")["rank"], 1);
  EXPECT_TRUE(all_gone(run_folder("hang").parent_path(), "hang"));
}

}  // namespace
}  // namespace convoy
