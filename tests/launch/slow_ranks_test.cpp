#include "launch/train/slow_ranks.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr double kMs = 1e-3;

/// A record of 10 steps of 100 ms in which every rank does the same: 5 ms input, 80 compute, 10 communication, 5 other.
std::vector<RankTimes> even(int ranks) {
  RankTimes times;
  times.steps = 10;
  times.parts = {.input = 50 * kMs, .compute = 800 * kMs, .communication = 100 * kMs, .checkpoint = 0};
  times.seconds = 1000 * kMs;
  for (int step = 0; step < 10; ++step) times.arrivals[static_cast<std::size_t>(step)] = (step * 100 + 85) * 1'000'000LL;
  return std::vector<RankTimes>(static_cast<std::size_t>(ranks), times);
}

/// `rank` comes `ms` later to every reduction, and the others wait for it.
void delay(std::vector<RankTimes>& times, int rank, double ms) {
  for (int r = 0; r < static_cast<int>(times.size()); ++r) {
    RankTimes& each = times[static_cast<std::size_t>(r)];
    each.seconds += 10 * ms * kMs;
    if (r != rank) each.parts.communication += 10 * ms * kMs;
    if (r != rank) continue;
    for (int step = 0; step < 10; ++step) each.arrivals[static_cast<std::size_t>(step)] += static_cast<std::int64_t>(ms * 1e6);
  }
}

/// `rank` spends `ms` more a step in `part`, and comes so much later.
std::vector<RankTimes> with_slow(int ranks, int rank, double StepParts::*part, double ms) {
  std::vector<RankTimes> times = even(ranks);
  delay(times, rank, ms);
  times[static_cast<std::size_t>(rank)].parts.*part += 10 * ms * kMs;
  return times;
}

/// `rank` spends `ms` in `part` in one step of the record, and comes so much later to that.
std::vector<RankTimes> with_hiccup(int ranks, int rank, double StepParts::*part, double ms) {
  std::vector<RankTimes> times = even(ranks);
  for (RankTimes& each : times) each.parts.communication += ms * kMs, each.seconds += ms * kMs;
  RankTimes& slow = times[static_cast<std::size_t>(rank)];
  slow.parts.communication -= ms * kMs;
  slow.parts.*part += ms * kMs;
  slow.arrivals[3] += static_cast<std::int64_t>(ms * 1e6);
  return times;
}

TEST(SlowRanks, SplitsEveryRanksStep) {
  auto times = even(3);
  times[1].parts.checkpoint = 20 * kMs;
  const StragglerReport report = SlowRanks().judge(times);
  ASSERT_EQ(report.ranks.size(), 3U);
  const RankSplit& split = report.ranks[1];
  EXPECT_EQ(split.rank, 1);
  EXPECT_NEAR(split.input, 5, 1e-9);
  EXPECT_NEAR(split.compute, 80, 1e-9);
  EXPECT_NEAR(split.communication, 10, 1e-9);
  EXPECT_NEAR(split.checkpoint, 2, 1e-9);
  EXPECT_NEAR(split.other, 3, 1e-9);
  EXPECT_NEAR(report.step, 100, 1e-9);
}

TEST(SlowRanks, NamesARankAndItsCauseInTheSecondRecord) {
  for (const auto& [part, cause] : {std::pair{&StepParts::input, SlowCause::input},
                                    {&StepParts::compute, SlowCause::compute},
                                    {&StepParts::checkpoint, SlowCause::checkpoint}})
    for (const int ranks : {2, 3, 8}) {
      SlowRanks judge;
      EXPECT_TRUE(judge.judge(with_slow(ranks, 1, part, 50)).slow.empty());
      const StragglerReport report = judge.judge(with_slow(ranks, 1, part, 50));
      ASSERT_EQ(report.slow.size(), 1U) << name_of(cause) << " of " << ranks;
      EXPECT_EQ(report.slow[0].rank, 1);
      EXPECT_EQ(report.slow[0].cause, cause);
      EXPECT_NEAR(report.slow[0].excess, 50, 1e-6);
      EXPECT_NEAR(report.slow[0].late, 50, 1e-6);
      EXPECT_NEAR(report.slow[0].others_wait, 50, 1e-6);
      EXPECT_NEAR(report.ranks[1].late, 50, 1e-6);
      EXPECT_NEAR(report.ranks[0].late, 0, 1e-6);
      EXPECT_EQ(report.line(), "slow: rank 1, " + std::string(name_of(cause)) + " +50.0 ms a step");
      ASSERT_EQ(report.news.size(), 1U);
      EXPECT_EQ(report.news[0], "rank 1 holds up the others: " + std::string(name_of(cause)) +
                                    " +50.0 ms a step; they wait 50.0 ms a step longer than it");
    }
}

TEST(SlowRanks, NamesTheHostWhereNoPartOfItsOwnSaysWhy) {
  SlowRanks judge;
  std::vector<RankTimes> times = even(4);
  delay(times, 2, 40);
  judge.judge(times);
  const StragglerReport report = judge.judge(times);
  ASSERT_EQ(report.slow.size(), 1U);
  EXPECT_EQ(report.slow[0].cause, SlowCause::host);
  EXPECT_EQ(report.line(), "slow: rank 2, 40.0 ms late a step, waiting for its core or host");
}

TEST(SlowRanks, NamesThePartThatExceedsTheOthersTheMost) {
  for (const double input : {20.0, 30.0}) {
    SlowRanks judge;
    std::vector<RankTimes> times = with_slow(3, 1, &StepParts::compute, 50 - input);
    delay(times, 1, input);
    times[1].parts.input += 10 * input * kMs;
    judge.judge(times);
    const StragglerReport report = judge.judge(times);
    ASSERT_EQ(report.slow.size(), 1U);
    EXPECT_EQ(report.slow[0].cause, input < 25 ? SlowCause::compute : SlowCause::input);
    EXPECT_NEAR(report.slow[0].excess, 30, 1e-6);
  }
}

TEST(SlowRanks, NamesNobodyWhereAllComeTogether) {
  SlowRanks judge;
  for (int record = 0; record < 5; ++record) {
    const StragglerReport report = judge.judge(even(4));
    EXPECT_TRUE(report.slow.empty());
    EXPECT_TRUE(report.news.empty());
    EXPECT_EQ(report.line(), "");
  }
}

TEST(SlowRanks, NamesNobodyWhereAllAreLateInTurn) {
  SlowRanks judge;  // an oversubscribed machine: someone is always first, nobody always last
  for (int record = 0; record < 5; ++record) {
    std::vector<RankTimes> times = even(4);
    for (int step = 0; step < 10; ++step)
      for (int r = 0; r < 4; ++r)
        times[static_cast<std::size_t>(r)].arrivals[static_cast<std::size_t>(step)] += (step + r) % 4 * 20'000'000LL;
    EXPECT_TRUE(judge.judge(times).slow.empty());
  }
}

TEST(SlowRanks, NamesNobodyWhomTheOthersDoNotWaitFor) {
  SlowRanks judge;  // it is the core that all wait for
  for (int record = 0; record < 5; ++record) {
    std::vector<RankTimes> times = even(4);
    delay(times, 1, 20);
    times[1].parts.communication = times[0].parts.communication;
    const StragglerReport report = judge.judge(times);
    EXPECT_TRUE(report.slow.empty());
    EXPECT_TRUE(report.news.empty()) << report.news.front();
  }
}

TEST(SlowRanks, NamesNobodyForOneLongHiccupARecord) {
  SlowRanks judge;
  for (int record = 0; record < 5; ++record)
    EXPECT_TRUE(judge.judge(with_hiccup(4, 1, &StepParts::compute, 2000)).slow.empty());
}

TEST(SlowRanks, NamesRareButLongWaitsForInputAndDisk) {
  for (const auto& [part, cause] :
       {std::pair{&StepParts::input, SlowCause::input}, {&StepParts::checkpoint, SlowCause::checkpoint}}) {
    SlowRanks judge;
    judge.judge(with_hiccup(4, 1, part, 500));
    const StragglerReport report = judge.judge(with_hiccup(4, 1, part, 500));
    ASSERT_EQ(report.slow.size(), 1U);
    EXPECT_EQ(report.slow[0].cause, cause);
    EXPECT_NEAR(report.slow[0].excess, 50, 1e-6);
  }
}

TEST(SlowRanks, CountsOnlyWhatIsTenPercentOfAStepAndThreeMilliseconds) {
  SlowRanks below, above;
  for (int record = 0; record < 3; ++record) {
    EXPECT_TRUE(below.judge(with_slow(3, 1, &StepParts::compute, 10.9)).slow.empty());  // of a step of 110.9 ms
    EXPECT_EQ(above.judge(with_slow(3, 1, &StepParts::compute, 11.2)).slow.size(), record > 0 ? 1U : 0U);
  }
  SlowRanks quick;
  for (int record = 0; record < 3; ++record) {
    std::vector<RankTimes> times = with_slow(3, 1, &StepParts::compute, 2.9);
    for (RankTimes& rank : times) rank.seconds = 40 * kMs;  // 4 ms a step
    EXPECT_TRUE(quick.judge(times).slow.empty());
  }
}

TEST(SlowRanks, ForgetsARankOnlyAfterTwoRecordsWellBelow) {
  SlowRanks judge;
  const auto slow_after = [&](double ms) { return judge.judge(with_slow(3, 1, &StepParts::compute, ms)).slow.size(); };
  slow_after(50);
  EXPECT_EQ(slow_after(50), 1U);
  EXPECT_EQ(slow_after(8), 1U);  // below the limit, but not by half
  EXPECT_EQ(slow_after(8), 1U);
  EXPECT_EQ(slow_after(1), 1U);
  EXPECT_EQ(slow_after(8), 1U);
  EXPECT_EQ(slow_after(1), 1U);
  const StragglerReport report = judge.judge(with_slow(3, 1, &StepParts::compute, 1));
  EXPECT_TRUE(report.slow.empty());
  EXPECT_EQ(report.news, std::vector<std::string>{"rank 1 keeps up again"});
  EXPECT_EQ(slow_after(50), 0U);  // and again only after two
}

TEST(SlowRanks, NeedsTwoRecordsInARow) {
  SlowRanks judge;
  for (int record = 0; record < 4; ++record) {
    EXPECT_TRUE(judge.judge(with_slow(3, 1, &StepParts::compute, 50)).slow.empty());
    EXPECT_TRUE(judge.judge(even(3)).slow.empty());
  }
}

TEST(SlowRanks, FindsNothingOnARankAlone) {
  SlowRanks judge;
  for (int record = 0; record < 3; ++record) {
    const StragglerReport report = judge.judge(even(1));
    EXPECT_TRUE(report.slow.empty());
    EXPECT_EQ(report.ranks.size(), 1U);
  }
}

TEST(SlowRanks, TellsSeveralSlowRanksTheSlowestFirst) {
  SlowRanks judge;
  std::vector<RankTimes> times = with_slow(6, 1, &StepParts::compute, 50);
  delay(times, 4, 70);
  judge.judge(times);
  const StragglerReport report = judge.judge(times);
  ASSERT_EQ(report.slow.size(), 2U);
  EXPECT_EQ(report.slow[0].rank, 4);
  EXPECT_NE(report.line().find("rank 4"), std::string::npos);
  EXPECT_NE(report.line().find("(and 1 more)"), std::string::npos);
}

TEST(SlowRanks, RefusesRanksThatCountedDifferentSteps) {
  std::vector<RankTimes> times = even(3);
  times[2].steps = 9;
  EXPECT_THROW(SlowRanks().judge(times), Error);
}

nlohmann::json record_with(const StragglerReport& report) {
  return nlohmann::json::parse("{\"kind\":\"train\"" + report.json_members() + "}");
}

TEST(SlowRanks, WritesRanksAndVerdictAsMembersOfARecord) {
  SlowRanks judge;
  EXPECT_FALSE(record_with(judge.judge(with_slow(3, 1, &StepParts::input, 50))).contains("slow"));
  const auto json = record_with(judge.judge(with_slow(3, 1, &StepParts::input, 50)));
  ASSERT_EQ(json["ranks"].size(), 3U);
  EXPECT_EQ(json["ranks"][1]["rank"], 1);
  EXPECT_EQ(json["ranks"][1]["input"], 55.0);
  EXPECT_EQ(json["ranks"][1]["late"], 50.0);
  EXPECT_EQ(json["ranks"][0]["communication"], 60.0);
  EXPECT_EQ(json["slow"]["rank"], 1);
  EXPECT_EQ(json["slow"]["cause"], "input");
  EXPECT_EQ(json["slow"]["excess_ms"], 50.0);
  EXPECT_EQ(StragglerReport().json_members(), "");
}

TEST(SlowRanks, WritesTheLatestEightAndQuantilesOfManyRanks) {
  std::vector<RankTimes> times = even(100);
  for (int r = 0; r < 100; ++r) delay(times, r, r * 0.01);
  const auto json = record_with(SlowRanks().judge(times));
  ASSERT_EQ(json["ranks"].size(), 8U);
  EXPECT_EQ(json["ranks"][0]["rank"], 99);
  EXPECT_EQ(json["ranks"][7]["rank"], 92);
  EXPECT_EQ(json["quantiles"]["late"], (nlohmann::json{0.0, 0.495, 0.89, 0.99}));
}

TEST(SlowRanks, SumsUpAtTheEnd) {
  SlowRanks judge;
  for (int record = 0; record < 3; ++record) judge.judge(with_slow(3, 1, &StepParts::input, 50));
  judge.judge(with_slow(3, 1, &StepParts::compute, 50));
  EXPECT_EQ(judge.summary(), "rank 1 was slow in 3 of 4 records, most often by input");
  SlowRanks calm;
  calm.judge(even(3));
  EXPECT_EQ(calm.summary(), "");
}

}  // namespace
}  // namespace convoy
