#include "launch/chaos/inject_spec.h"

#include <gtest/gtest.h>

#include <set>

#include "expect_message.h"

namespace convoy {
namespace {

using namespace std::chrono_literals;
using enum InjectKind;

InjectScene scene() {
  return {.ranks = 3, .seed = 7, .last_step = 200, .samples = 1000, .held_out = {},
          .parameters = {"conv10/filters", "conv1/bias", "conv1/filters", "fc/weights"}};
}

InjectClause settled(const std::string& clause, const InjectScene& on) { return settle_inject(parse_inject(clause), on).at(0); }

TEST(InjectSpec, ReadsClausesOfEveryKind) {
  const auto clauses = parse_inject(
      "kill:rank=2@step=37; slow:rank=1,compute=50ms; slow:rank=0,input=1.5s,reduce=200us@step=3-9; stop:rank=1@step=9; "
      "flip:tensor=conv1@step=80; enospc@checkpoint; eio@checkpoint=3; nan:sample=123; hang@step=4-6; kill@checkpoint=2");
  ASSERT_EQ(clauses.size(), 10U);
  EXPECT_EQ(clauses[0].kind, kill);
  EXPECT_EQ(clauses[0].rank, 2);
  EXPECT_EQ(clauses[0].first_step, 37);
  EXPECT_EQ(clauses[0].last_step, 37);
  EXPECT_EQ(clauses[0].text, "kill:rank=2@step=37");
  EXPECT_EQ(clauses[1].kind, slow);
  EXPECT_EQ(clauses[1].number, 2);
  EXPECT_EQ(clauses[1].compute, 50ms);
  EXPECT_EQ(clauses[1].first_step, 0);
  EXPECT_EQ(clauses[2].input, 1500ms);
  EXPECT_EQ(clauses[2].reduce, 200us);
  EXPECT_EQ(clauses[2].last_step, 9);
  EXPECT_EQ(clauses[3].kind, stop);
  EXPECT_EQ(clauses[4].tensor, "conv1");
  EXPECT_EQ(clauses[4].rank, kAnyRank);
  EXPECT_EQ(clauses[5].kind, enospc);
  EXPECT_EQ(clauses[5].save, 1);
  EXPECT_EQ(clauses[6].save, 3);
  EXPECT_EQ(clauses[7].sample, 123);
  EXPECT_EQ(clauses[8].kind, hang);
  EXPECT_EQ(clauses[8].first_step, 4);
  EXPECT_EQ(clauses[8].last_step, 6);
  EXPECT_EQ(clauses[9].save, 2);
  EXPECT_EQ(clauses[9].rank, 0);  // the writer
}

TEST(InjectSpec, MindsNeitherBlanksNorEmptyClauses) {
  EXPECT_TRUE(parse_inject("").empty());
  const auto clauses = parse_inject(" ; kill : rank = 2 @ step = 37 ;; ");
  ASSERT_EQ(clauses.size(), 1U);
  EXPECT_EQ(clauses[0].text, "kill:rank=2@step=37");
  EXPECT_EQ(clauses[0].number, 1);
}

TEST(InjectSpec, SaysWhichClauseIsWrongWhatItExpectsAndAnExample) {
  EXPECT_USAGE_ERROR(parse_inject("kill@step=3;kil:rank=1@step=2"), "--inject, clause 2 \"kil:rank=1@step=2\"",
                     "expected one of kill, stop, hang", "did you mean kill?", "found \"kil\"", "for example kill:rank=2@step=37");
  EXPECT_USAGE_ERROR(parse_inject("slow:rank=1"), "expected one or more of input=", "for example slow:rank=1,compute=50ms");
  EXPECT_USAGE_ERROR(parse_inject("slow:compute=50"), "expected a duration after compute=", "found \"50\"");
  EXPECT_USAGE_ERROR(parse_inject("slow:compute=-1ms"), "expected a duration");
  EXPECT_USAGE_ERROR(parse_inject("slow:compute=nanms"), "expected a duration");
  EXPECT_USAGE_ERROR(parse_inject("slow:input=2000h"), "up to an hour");
  EXPECT_USAGE_ERROR(parse_inject("slow:cpmpute=5ms"), "did you mean compute?");
  EXPECT_USAGE_ERROR(parse_inject("slow:compute=5ms,compute=6ms"), "expected compute= once");
  EXPECT_USAGE_ERROR(parse_inject("kill:rank=1"), "expected @step=N, @step=A-B, @checkpoint or @checkpoint=N", "found nothing");
  EXPECT_USAGE_ERROR(parse_inject("kill:rank=x@step=1"), "expected a whole number", "or any", "found \"x\"");
  EXPECT_USAGE_ERROR(parse_inject("kill:2@step=1"), "expected NAME=VALUE", "found \"2\"");
  EXPECT_USAGE_ERROR(parse_inject("kill:@step=1"), "expected NAME=VALUE", "found nothing");
  EXPECT_USAGE_ERROR(parse_inject("stop@checkpoint"), "expected @step=N or @step=A-B", "found \"checkpoint\"");
  EXPECT_USAGE_ERROR(parse_inject("stop@step=0"), "from 1");
  EXPECT_USAGE_ERROR(parse_inject("stop@step=9-3"), "expected A <= B");
  EXPECT_USAGE_ERROR(parse_inject("stop@step=3-"), "after the dash", "found nothing");
  EXPECT_USAGE_ERROR(parse_inject("stop@step=99999999999999999999"), "expected a whole number");
  EXPECT_USAGE_ERROR(parse_inject("flip@step=3"), "expected tensor=NAME");
  EXPECT_USAGE_ERROR(parse_inject("flip:tensor=@step=3"), "a parameter's name after tensor=");
  EXPECT_USAGE_ERROR(parse_inject("enospc:rank=1@checkpoint"), "expected no arguments of enospc");
  EXPECT_USAGE_ERROR(parse_inject("enospc"), "expected @checkpoint or @checkpoint=N");
  EXPECT_USAGE_ERROR(parse_inject("enospc@checkpoints"), "expected @checkpoint or @checkpoint=N", "found \"s\"");
  EXPECT_USAGE_ERROR(parse_inject("kill:rank=1@checkpoint"), "expected rank=0, which writes the checkpoints");
  EXPECT_USAGE_ERROR(parse_inject("slow:rank=2,checkpoint=1s"), "expected rank=0");
  EXPECT_USAGE_ERROR(parse_inject("nan"), "expected sample=ID");
  EXPECT_USAGE_ERROR(parse_inject("nan:sample=1@step=3"), "expected no \"@\"");
}

TEST(InjectSpec, RefusesWhatIsNotInThisRun) {
  InjectScene on = scene();
  EXPECT_USAGE_ERROR(settled("kill:rank=3@step=1", on), "clause 1 \"kill:rank=3@step=1\"", "a rank from 0 to 2");
  EXPECT_USAGE_ERROR(settled("kill@step=201", on), "up to the run's last, 200", "step=201");
  EXPECT_USAGE_ERROR(settled("flip:tensor=conv2@step=1", on), "found \"conv2\"", "the model has conv10/filters, conv1/bias");
  EXPECT_USAGE_ERROR(settled("nan:sample=1000", on), "a sample from 0 to 999");
  on.held_out = [](std::int64_t id) { return id == 5; };
  EXPECT_USAGE_ERROR(settled("nan:sample=5", on), "sample 5 is held out for validation");
  EXPECT_EQ(settled("nan:sample=6", on).sample, 6);
}

TEST(InjectSpec, TakesThePrefixOfATensorAsALayerFirst) {
  EXPECT_EQ(settled("flip:tensor=conv1@step=1", scene()).tensor, "conv1/bias");
  EXPECT_EQ(settled("flip:tensor=conv1/filters@step=1", scene()).tensor, "conv1/filters");
  EXPECT_EQ(settled("flip:tensor=conv@step=1", scene()).tensor, "conv10/filters");
}

TEST(InjectSpec, ChoosesTheSameForTheSameSeedAndSpreadsOverSeeds) {
  std::set<int> ranks;
  std::set<std::int64_t> steps;
  std::set<std::string> tensors;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    InjectScene on = scene();
    on.seed = seed;
    const InjectClause first = settled("flip:tensor=any@step=10-13", on), again = settled("flip:tensor=any@step=10-13", on);
    EXPECT_EQ(first.rank, again.rank);
    EXPECT_EQ(first.first_step, again.first_step);
    EXPECT_EQ(first.tensor, again.tensor);
    EXPECT_EQ(first.first_step, first.last_step);
    ranks.insert(first.rank), steps.insert(first.first_step), tensors.insert(first.tensor);
  }
  EXPECT_EQ(ranks, (std::set<int>{0, 1, 2}));
  EXPECT_EQ(steps, (std::set<std::int64_t>{10, 11, 12, 13}));
  EXPECT_EQ(tensors.size(), 4U);
}

TEST(InjectSpec, LeavesTheStepsOfSlowAsTheyAre) {
  const InjectClause clause = settled("slow:rank=1,compute=5ms@step=10-13", scene());
  EXPECT_EQ(clause.first_step, 10);
  EXPECT_EQ(clause.last_step, 13);
}

}  // namespace
}  // namespace convoy
