// model.batch-norm=global in whole runs.
#include <cmath>

#include "training_fixture.h"

namespace convoy {
namespace {

const std::string kResNet =
    "--model.name=resnet-20 --model.batch-norm=global --train.batch=24 --virtual-workers=4 --train.epochs=4 --train.steps=6 "
    "--data.pad=2 --optim.rate=0.05 --train.log-every=1";

class GlobalBatchNorm : public Training {
 protected:
  static std::vector<double> losses(const std::string& run) {
    std::ifstream file(run_folder(run) / "metrics.jsonl");
    std::vector<double> found;
    for (std::string line; std::getline(file, line);)
      if (const json record = json::parse(line); record["kind"] == "train") found.push_back(record["loss"]);
    return found;
  }
};

TEST_F(GlobalBatchNorm, GivesTheSameBitsOnOneToFourRanksAndAfterAResume) {
  ASSERT_EQ(train(1, "one", kResNet).status, 0);
  for (int ranks = 2; ranks <= 4; ++ranks) {
    const std::string run = "ranks" + std::to_string(ranks);
    ASSERT_EQ(train(ranks, run, kResNet).status, 0);
    EXPECT_EQ(digest(run), digest("one")) << ranks << " ranks";
  }
  ASSERT_EQ(train(2, "parts", with(kResNet, "--train.steps=3")).status, 0);
  ASSERT_EQ(train(3, "parts", kResNet + " --resume=latest").status, 0);
  EXPECT_EQ(digest("parts"), digest("one"));
}

/// Of the mathematics the number of micro-batches is no part; over micro-batches it is.
TEST_F(GlobalBatchNorm, DoesNotDependOnTheMicroBatchesUpToRounding) {
  const std::string slow = with(kResNet, "--optim.rate=0.01");  // so that rounding errors grow slowly
  ASSERT_EQ(train(2, "whole4", slow).status, 0);
  ASSERT_EQ(train(1, "whole1", with(slow, "--virtual-workers=1")).status, 0);
  ASSERT_EQ(train(1, "local1", with(slow, "--virtual-workers=1 --model.batch-norm=micro-batch")).status, 0);
  ASSERT_EQ(train(2, "local4", with(slow, "--model.batch-norm=micro-batch")).status, 0);
  const auto four = losses("whole4"), one = losses("whole1"), local1 = losses("local1"), local4 = losses("local4");
  ASSERT_EQ(four.size(), 6U);
  ASSERT_EQ(one.size(), 6U);
  for (std::size_t i = 0; i < 3; ++i) {  // later, rounding errors have grown
    EXPECT_NEAR(four[i], one[i], 2e-4 * one[i]) << "step " << i + 1;
    EXPECT_NEAR(one[i], local1[i], 2e-4 * one[i]) << "step " << i + 1;
  }
  EXPECT_GT(std::abs(local4[1] - one[1]), 4e-3 * one[1]);
}

TEST_F(GlobalBatchNorm, NamesTheSampleThatIsNotFinite) {
  const Outcome outcome = train(2, "poisoned", kResNet + " --inject=nan:sample=17");
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("sample 17"), std::string::npos) << outcome.err;
}

TEST_F(GlobalBatchNorm, LeavesNobodyWaitingForAKilledRank) {
  const Outcome outcome = train(2, "killed", with(kResNet, "--train.steps=40") + " --inject=kill:rank=1@step=3 --timeout=20");
  EXPECT_NE(outcome.status, 0);
  EXPECT_EQ(train(1, "killed", with(kResNet, "--train.steps=4") + " --resume=latest").status, 0);
}

}  // namespace
}  // namespace convoy
