#include "launch/ensemble_options.h"

#include <gtest/gtest.h>

#include "launch/check.h"
#include "launch/expect_message.h"

namespace convoy {
namespace {

Config ensemble(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(),
                   {"--mode=ensemble", "--model.name=lenet-5", "--data.path=data/x", "--runs=r", "--run=e"});
  return Config::parse("train", arguments);
}

Config seven(std::vector<std::string> arguments) {
  arguments.emplace_back("--members=7");
  return ensemble(std::move(arguments));
}

std::vector<std::int64_t> seeds(const Member& member) {
  std::vector<std::int64_t> values;
  for (const char* seed : {"seed.init", "seed.order", "seed.augment", "seed.dropout"})
    values.push_back(member.config.get<std::int64_t>(seed));
  return values;
}

TEST(Members, AreRunsInTheFolderOfTheEnsemble) {
  const std::vector<Member> members = members_of(seven({}));
  ASSERT_EQ(members.size(), 7U);
  EXPECT_EQ(members[6].number, 7);
  EXPECT_EQ(members[6].name, "07");
  EXPECT_EQ(members[6].config.get<std::string>("run"), "07");
  EXPECT_EQ(members[6].config.get<std::string>("runs"), "r/e/members");
  EXPECT_EQ(members[6].config.get<std::string>("mode"), "sync");
}

TEST(Members, HaveConfigsThatPlainRunsTake) {
  for (const Member& member : members_of(seven({"--member-seeds=all", "--member-overrides=7:optim.rate=0.5"})))
    EXPECT_NO_THROW(check_run(Config::from_text("train", member.config.text(), "config.cfg")))
        << member.config.text();
}

TEST(Members, DifferInWhatTheySeeAndNotInTheirFirstWeights) {
  const std::vector<Member> members = members_of(seven({"--seed=10"}));
  EXPECT_EQ(seeds(members[0]), (std::vector<std::int64_t>{10, 10, 10, 10}));
  EXPECT_EQ(seeds(members[2]), (std::vector<std::int64_t>{10, 12, 12, 12}));
}

TEST(Members, DifferInAllSeedsWhereThatIsAskedFor) {
  const std::vector<Member> members = members_of(seven({"--member-seeds=all", "--seed.order=100"}));
  EXPECT_EQ(seeds(members[2]), (std::vector<std::int64_t>{3, 102, 3, 3}));
}

TEST(Members, TakeTheirOverrides) {
  const std::vector<Member> members =
      members_of(seven({"--member-overrides= 7:optim.rate=0.5 ; 7:train.init=*:xavier;2:seed.order=44;"}));
  EXPECT_EQ(members[6].config.get<double>("optim.rate"), 0.5);
  EXPECT_EQ(members[6].config.get<std::string>("train.init"), "*:xavier");
  EXPECT_EQ(members[5].config.get<double>("optim.rate"), Config::parse("train", {}).get<double>("optim.rate"));
  EXPECT_EQ(seeds(members[1]), (std::vector<std::int64_t>{1, 44, 2, 2}));
}

TEST(Members, WithASeedOfTheirOwnTakeItForAllThatFollowsIt) {
  EXPECT_EQ(seeds(members_of(seven({"--member-overrides=2:seed=9"}))[1]),
            (std::vector<std::int64_t>{9, 9, 9, 9}));
}

TEST(Members, MayBeOverriddenInAConfigFile) {
  const Config config = Config::parse(
      "train", {},
      ConfigFile{"e.cfg", "mode = ensemble\nmembers = 2\nmember-overrides = \"2:optim.rate=0.5; 1:seed=3\"\n"});
  EXPECT_EQ(members_of(config)[1].config.get<double>("optim.rate"), 0.5);
  EXPECT_EQ(members_of(Config::from_text("train", config.text(), "config.cfg"))[0].config.get<int>("seed"), 3);
}

TEST(CheckEnsemble, RefusesOverridesThatAreNone) {
  const auto check = [](const std::string& overrides) {
    check_run(seven({"--member-overrides=" + overrides}));
  };
  EXPECT_NO_THROW(check("7:optim.rate=0.5"));
  EXPECT_USAGE_ERROR(check("7optim.rate=0.5"), "'7optim.rate=0.5'", "MEMBER:OPTION=VALUE");
  EXPECT_USAGE_ERROR(check("7:optim.rate"), "MEMBER:OPTION=VALUE");
  EXPECT_USAGE_ERROR(check("x:optim.rate=1"), "MEMBER:OPTION=VALUE");
  EXPECT_USAGE_ERROR(check("8:optim.rate=0.5"), "there is no member 8", "7 members are counted from 1");
  EXPECT_USAGE_ERROR(check("0:optim.rate=0.5"), "there is no member 0");
  EXPECT_USAGE_ERROR(check("3:optim.rte=0.5"), "member 3: unknown option optim.rte",
                     "did you mean optim.rate?");
  EXPECT_USAGE_ERROR(check("3:optim.rate=fast"), "member 3: optim.rate = 'fast'");
  EXPECT_USAGE_ERROR(check("3:optim.rate=1;3:optim.rate=2"), "optim.rate of member 3", "a second time");
  EXPECT_USAGE_ERROR(check("3:run=x"), "run is the same for all members");
  EXPECT_USAGE_ERROR(check("3:members=9"), "members is the same for all members");
  EXPECT_USAGE_ERROR(check("3:train.batch=63"), "member 3: train.batch = 63");
}

TEST(CheckEnsemble, KnowsWhatGoesTogether) {
  EXPECT_USAGE_ERROR(check_run(ensemble({})), "members = 0", "--members=7");
  EXPECT_USAGE_ERROR(check_run(seven({"--resume=x.h5"})), "resume = 'x.h5'", "--resume=latest only");
  EXPECT_USAGE_ERROR(check_run(seven({"--reduction=fast"})), "reduction = fast", "deterministic");
  const auto plain = [](const std::string& option) {
    check_run(Config::parse("train", {"--model.name=lenet-5", "--data.path=x", option}));
  };
  EXPECT_USAGE_ERROR(plain("--members=3"), "members belongs to --mode=ensemble");
  EXPECT_USAGE_ERROR(plain("--member-seeds=all"), "member-seeds belongs to --mode=ensemble");
  EXPECT_USAGE_ERROR(plain("--member-overrides=1:seed=2"), "member-overrides belongs to --mode=ensemble");
}

}  // namespace
}  // namespace convoy
