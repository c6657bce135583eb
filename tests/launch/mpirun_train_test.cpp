// launch/mpirun-train: what it starts again, and what it does not.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "expect_message.h"
#include "small_run.h"

namespace convoy {
namespace {

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

Outcome mpirun_train(const std::string& options) {
  return run_command(std::string("exec '") + CONVOY_SOURCE + "/launch/mpirun-train' " + options);
}

TEST(MpirunTrain, GivesTheDigestOfACalmRunAfterAKilledRankAndAKilledMpirun) {
  const SmallRuns small;
  constexpr int kSteps = 150;
  std::vector<int> first, second;
  std::thread killer([&] {
    if (!eventually([&] { return small.newest_step("killed") >= 10; })) return;
    first = small.ranks("killed");
    if (first.empty()) return;
    kill(first.back(), SIGKILL);
    const auto restarted = [&] {
      second = small.ranks("killed");
      for (int pid : first) std::erase(second, pid);
      return !second.empty() && small.newest_step("killed") >= 40;
    };
    if (!eventually(restarted)) return;
    if (const int parent = parent_of(second.front()); parent > 1) kill(parent, SIGKILL);
  });
  const Outcome outcome = mpirun_train("-n 2 '--convoy=" CONVOY_BINARY "' " + small.options("killed", kSteps));
  killer.join();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(count_of(outcome.err, "[mpirun-train] life 3 of"), 1) << outcome.err;
  EXPECT_EQ(small.digest("killed"), small.calm_digest(kSteps));
}

TEST(MpirunTrain, NeverRestartsOnABadConfigOrBadData) {
  const SmallRuns small;
  const Outcome config = mpirun_train("-n 2 '--convoy=" CONVOY_BINARY "' --optim.rte=1 " + small.options("config", 10));
  EXPECT_EQ(config.status, 2) << config.err;
  test::expect_parts(config.err, {"optim.rte", "optim.rate", "not starting again"});
  EXPECT_EQ(count_of(config.err, "] life "), 1) << config.err;

  const auto shard = small.path() / "data/train-00001-of-00003.h5";
  flip_bit(shard, static_cast<std::int64_t>(std::filesystem::file_size(shard)) / 2, 3);  // pixels are most of the file
  const Outcome data = mpirun_train("-n 2 '--convoy=" CONVOY_BINARY "' " + small.options("data", 60));
  EXPECT_EQ(data.status, 3) << data.err;
  EXPECT_EQ(count_of(data.err, "] life "), 1) << data.err;
}

TEST(MpirunTrain, EndsWithACheckpointWhenItIsTerminated) {
  const SmallRuns small;
  const auto pid_file = small.path() / "pid";
  std::thread asker([&] {
    if (eventually([&] { return small.newest_step("ended") >= 10; })) kill(std::stoi(bytes_of(pid_file)), SIGTERM);
  });
  const Outcome outcome = run_command("echo $$ > '" + pid_file.string() + "'; exec '" CONVOY_SOURCE
                                      "/launch/mpirun-train' -n 2 --restart-stopped '--convoy=" CONVOY_BINARY "' " +
                                      small.options("ended", 100000));
  asker.join();
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  EXPECT_EQ(count_of(outcome.err, "] life "), 1) << outcome.err;
  EXPECT_TRUE(small.ranks("ended").empty());
  const auto status = nlohmann::json::parse(bytes_of(small.run("ended") / "status.json"));
  EXPECT_EQ(status["status"], 75);
  EXPECT_EQ(status["step"], small.newest_step("ended"));
}

/// Stand-ins for the binary: what a life does is a line of shell, in the run folder; `lives` counts them.
class StandIn : public testing::Test {
 protected:
  Outcome run(const std::string& options, const std::string& life) {
    const auto binary = folder_.path() / "stand-in";
    write_bytes(binary, "#!/bin/bash\nmkdir -p '" + run_folder().string() + "/checkpoints'; cd '" + run_folder().string() +
                            "'\necho >> lives; n=$(wc -l < lives)\n"
                            "end() { printf '{\\n  \"status\": %s,\\n  \"step\": 1\\n}\\n' $1 > new; mv new status.json; exit $1; }\n" +
                            life + "\n");
    std::filesystem::permissions(binary, std::filesystem::perms::owner_all);
    return mpirun_train("-n 1 '--convoy=" + binary.string() + "' --runs='" + folder_.path().string() + "' --run=it " + options);
  }
  std::ptrdiff_t lives() const { return lines_in(bytes_of(run_folder() / "lives")); }
  std::filesystem::path run_folder() const { return folder_.path() / "it"; }

  TemporaryFolder folder_;
};

TEST_F(StandIn, GivesUpAfterLivesWithoutProgress) {
  const Outcome outcome = run("--give-up-after=2", "touch checkpoints/step-00000008.h5; kill -9 $$");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(lives(), 3) << outcome.err;  // the first one made progress
  test::expect_parts(outcome.err, {"giving up after 2 lives without progress beyond step 8"});
}

TEST_F(StandIn, NamesTheRankThatFailedAndTheReason) {
  const Outcome outcome = run("--give-up-after=2", "printf '{\\n  \"status\": 1,\\n  \"reason\": \"host b: no answer\",\\n"
                                                   "  \"rank\": 2\\n}\\n' > new; mv new status.json; exit 1");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(count_of(outcome.err, "rank 2: host b: no answer"), 2) << outcome.err;
  test::expect_parts(outcome.err, {"giving up after 2 lives", "doctor " + run_folder().string()});
}

TEST_F(StandIn, GoesOnAsLongAsThereIsProgress) {
  const Outcome outcome = run("--give-up-after=1", "[ $n = 4 ] && end 0; touch checkpoints/step-0000000$((n + 6)).h5; kill -9 $$");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lives(), 4);
}

TEST_F(StandIn, StartsAgainAfterAStopOnlyIfAsked) {
  const std::string life = "if [ $n = 1 ] || [ $n = 2 ]; then end 75; fi; end 0";
  EXPECT_EQ(run("", life).status, 75);
  EXPECT_EQ(lives(), 1);
  EXPECT_EQ(run("--restart-stopped", life).status, 0);
  EXPECT_EQ(lives(), 3);
}

TEST_F(StandIn, TrustsNoStatusOfAnEarlierLife) {
  std::filesystem::create_directory(run_folder());
  write_bytes(run_folder() / "status.json", "{\n  \"status\": 0\n}\n");
  EXPECT_EQ(run("--give-up-after=1", "kill -9 $$").status, 1);
}

TEST_F(StandIn, WaitsForRanksThatOutliveTheirMpirun) {
  const Outcome outcome = run("", "if [ $n = 1 ]; then setsid flock .lock sleep 7 </dev/null >/dev/null 2>&1 & sleep 1; kill -9 $$; fi\n"
                                  "flock -n .lock true || end 2\nend 0");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lives(), 2);
}

TEST_F(StandIn, ReadsTheRunFromTheConfigFile) {
  const auto config = folder_.path() / "my.cfg";
  write_bytes(config, "# mine\nruns = \"" + folder_.path().string() + "\"  # here\nrun = it ; this\n[train]\nrun = no\n");
  write_bytes(folder_.path() / "stand-in", "#!/bin/bash\nexit 2\n");
  std::filesystem::permissions(folder_.path() / "stand-in", std::filesystem::perms::owner_all);
  const Outcome outcome =
      mpirun_train("-n 1 '--convoy=" + (folder_.path() / "stand-in").string() + "' --config='" + config.string() + "'");
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {"life 1 of " + run_folder().string() + " on"});
}

TEST_F(StandIn, RefusesAResumeFromAFile) {
  const Outcome outcome = run("--resume=some/step-00000001.h5", "end 0");
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {"--resume=some/step-00000001.h5", "--resume=latest"});
}

}  // namespace
}  // namespace convoy
