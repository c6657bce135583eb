#include "launch/train/modes.h"

#include <gtest/gtest.h>

#include "launch/check_mode.h"
#include "launch/expect_message.h"

namespace convoy {
namespace {

Config run(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--model.name=mlp", "--data.path=data/x"});
  return Config::parse("train", arguments);
}

TEST(LocalRule, AveragesEveryFewStepsAndWhereAnEpochEnds) {
  const LocalRule rule{.replicas = 4, .average_every = 6, .first_step = 0, .batch = 10, .samples = 85};
  std::vector<std::int64_t> averages;
  for (std::int64_t steps = 0; steps <= 24; ++steps)
    if (rule.averages_after(steps)) averages.push_back(steps);
  EXPECT_EQ(averages, (std::vector<std::int64_t>{6, 9, 12, 17, 18, 24}));  // epochs end after 9 and 17 steps
}

TEST(LocalRule, IsOneModelInEveryStepBeforeTheFirstLocalOne) {
  const LocalRule rule{.replicas = 4, .average_every = 4, .first_step = 5, .batch = 10, .samples = 1000};
  EXPECT_FALSE(rule.is_local(4));
  EXPECT_TRUE(rule.is_local(5));
  for (std::int64_t steps = 0; steps <= 5; ++steps) {
    EXPECT_TRUE(rule.is_one_model_after(steps)) << steps;
    EXPECT_FALSE(rule.averages_after(steps)) << steps;
  }
  EXPECT_FALSE(rule.is_one_model_after(8));
  EXPECT_TRUE(rule.is_one_model_after(9));
}

TEST(LocalRule, CutsTheMicroBatchesByReplicasWhateverTheRanks) {
  const LocalRule rule{.replicas = 3};
  EXPECT_EQ(leaves_of_replica(1, 3, 8), std::pair(2, 5));
  EXPECT_EQ(leaves_of_rank(Mode::local, rule, 0, 2, 8), std::pair(0, 2));
  EXPECT_EQ(leaves_of_rank(Mode::local, rule, 1, 2, 8), std::pair(2, 8));
  EXPECT_EQ(leaves_of_rank(Mode::sync, rule, 1, 2, 8), std::pair(4, 8));
}

TEST(ModelParallel, GivesPairsOfRanksTheSameMicroBatches) {
  for (int rank : {2, 3}) EXPECT_EQ(leaves_of_rank(Mode::model, {}, rank, 4, 8), std::pair(4, 8));
  EXPECT_EQ(leaves_of_rank(Mode::model, {}, 0, 1, 8), std::pair(0, 8));
}

TEST(CheckMode, RefusesOptionsOfAnotherMode) {
  EXPECT_USAGE_ERROR(check_mode(run({"--replicas=4"})), "replicas = 4", "mode = local", "sync");
  EXPECT_USAGE_ERROR(check_mode(run({"--average-every=4"})), "average-every = 4", "mode = local");
  EXPECT_USAGE_ERROR(check_mode(run({"--local-from=2"})), "local-from = 2", "mode = local");
  EXPECT_NO_THROW(check_mode(run({"--mode=local", "--replicas=4", "--average-every=4", "--local-from=2"})));
}

TEST(CheckMode, AsksForAsManyReplicasAsHaveMicroBatches) {
  EXPECT_USAGE_ERROR(check_mode(run({"--mode=local"})), "needs replicas", "1 to virtual-workers = 8");
  EXPECT_USAGE_ERROR(check_mode(run({"--mode=local", "--replicas=9"})), "replicas = 9", "virtual-workers = 8", "replicas = 8");
  EXPECT_USAGE_ERROR(check_mode(run({"--mode=local", "--replicas=2", "--model.batch-norm=global"})), "micro-batch");
}

TEST(CheckMode, NamesTheNearestLegalNumbersOfRanks) {
  EXPECT_NO_THROW(check_ranks(run({"--mode=local", "--replicas=4"}), 4));
  EXPECT_USAGE_ERROR(check_ranks(run({"--mode=local", "--replicas=4"}), 5), "5 ranks", "replicas = 4", "at most 4 ranks");
  const Config pairs = run({"--mode=model", "--virtual-workers=4"});
  for (int ranks : {1, 2, 4, 8}) EXPECT_NO_THROW(check_ranks(pairs, ranks)) << ranks;
  EXPECT_USAGE_ERROR(check_ranks(pairs, 5), "5 ranks", "start 4 ranks or 6, or one");
  EXPECT_USAGE_ERROR(check_ranks(pairs, 10), "virtual-workers = 4 pairs", "start 8 ranks, or one");
}

TEST(CheckMode, RefusesWhatATowerAloneCannotKnow) {
  EXPECT_USAGE_ERROR(check_mode(run({"--mode=model", "--optim.clip-norm=1"})), "optim.clip-norm", "its tower");
  EXPECT_USAGE_ERROR(check_mode(run({"--mode=model", "--model.batch-norm=global"})), "micro-batch");
}

}  // namespace
}  // namespace convoy
