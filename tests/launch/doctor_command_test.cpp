// convoy doctor as a user types it, on runs under mpirun.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "expect_message.h"
#include "small_run.h"

namespace convoy {
namespace {

nlohmann::json doctor(const std::filesystem::path& run) {
  const Outcome outcome = convoy_with("doctor --format=json " + run.string());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.status == 0 ? nlohmann::json::parse(outcome.out) : nlohmann::json();
}

TEST(DoctorCommand, NamesTheKilledRankThenTheLifeThatFinished) {
  const SmallRuns small;
  int victim = 0;
  std::thread killer([&] {
    if (!eventually([&] { return small.newest_step("killed") >= 10; })) return;
    const nlohmann::json verdict = doctor(small.run("killed"));
    EXPECT_EQ(verdict["outcome"], "running") << verdict;
    if (!verdict.contains("ranks") || verdict["ranks"].size() != 2) return;
    victim = verdict["ranks"][1]["pid"];
    kill(victim, SIGKILL);
  });
  const std::string command = CONVOY_MPIRUN " -n 2 " CONVOY_BINARY " train --resume=latest ";
  const Outcome died = run_command(command + small.options("killed", 100000));
  killer.join();
  ASSERT_NE(victim, 0) << died.err;
  EXPECT_NE(died.status, 0);
  ASSERT_TRUE(eventually([&] { return small.ranks("killed").empty(); }));
  const nlohmann::json verdict = doctor(small.run("killed"));
  EXPECT_TRUE(verdict["outcome"] == "crashed" || verdict["outcome"] == "failed") << verdict;
  EXPECT_EQ(verdict["ranks"][1]["pid"], victim);
  EXPECT_NE(verdict.dump().find("rank 1 (process " + std::to_string(victim)), std::string::npos) << verdict;
  EXPECT_NE(verdict["next"].get<std::string>().find("mpirun -n 2 convoy train --config="), std::string::npos) << verdict;

  const Outcome finished = run_command(command + small.options("killed", small.newest_step("killed") + 10));
  ASSERT_EQ(finished.status, 0) << finished.err;
  const Outcome told = convoy_with("doctor " + small.run("killed").string());
  EXPECT_EQ(told.status, 0) << told.err;
  EXPECT_TRUE(told.out.starts_with("done: step ")) << told.out;
  test::expect_parts(told.out, {"left in order", "earlier lives:\n  life 1, begun ", "next: convoy evaluate"});
}

TEST(DoctorCommand, RefusesWhatIsNoRun) {
  const SmallRuns small;
  const Outcome outcome = convoy_with("doctor " + small.run("nothing").string());
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {"RUN = '", "expected a run's folder, found nothing of that name"});
}

}  // namespace
}  // namespace convoy
