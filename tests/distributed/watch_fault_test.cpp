// What the live watch says and does when ranks of a run are stopped, killed or late. Its patience is cut to seconds; each
// run's time limit is far below the deadline of its waits, so a watch that says nothing shows as status 124.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace convoy {
namespace {

/// The driver on some ranks under mpirun.
class DriverRun {
 public:
  DriverRun(int ranks, const std::string& arguments, const std::string& mpirun_options = "") : ranks_(ranks) {
    const std::string command =
        "exec timeout -k 2 60 " CONVOY_MPIEXEC
        " -q --allow-run-as-root --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 " +
        mpirun_options + " -n " + std::to_string(ranks) + " " CONVOY_WATCH_DRIVER " " + arguments + " 2>&1";
    pipe_ = ::popen(command.c_str(), "r");
  }
  ~DriverRun() { finish(); }

  /// Reads until every rank has told its pid; then sends `signal` to some of them.
  void signal(const std::vector<int>& to, int signal) {
    while (static_cast<int>(pids_.size()) < ranks_ && read_line()) {
    }
    for (const int rank : to)
      if (pids_.contains(rank)) ::kill(pids_[rank], signal);
  }
  /// Reads to the end. mpirun's exit status.
  int finish() {
    if (!pipe_) return status_;
    while (read_line()) {
    }
    const int raw = ::pclose(pipe_);
    pipe_ = nullptr;
    return status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
  }
  /// What was said, but for the pids.
  const std::string& output() const { return output_; }
  std::string pid(int rank) const { return std::to_string(pids_.at(rank)); }
  /// Whether no process is left, within a generous time.
  bool is_over() const {
    for (int i = 0; i < 1000; ++i) {
      bool lives = false;
      for (const auto& [rank, pid] : pids_) lives = lives || std::filesystem::exists("/proc/" + std::to_string(pid));
      if (!lives) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

 private:
  bool read_line() {
    std::string line;
    for (int c = std::fgetc(pipe_); c != EOF; c = std::fgetc(pipe_)) {
      line += static_cast<char>(c);
      if (c == '\n') break;
    }
    int pid = 0, rank = 0;
    if (std::sscanf(line.c_str(), "pid %d rank %d", &pid, &rank) == 2)
      pids_[rank] = pid;
    else
      output_ += line;
    return !line.empty();
  }

  int ranks_;
  std::FILE* pipe_ = nullptr;
  std::map<int, int> pids_;
  std::string output_;
  int status_ = -1;
};

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), text.npos) << "missing: " << part << "\nin: " << text;
}

/// One message about `rank`; mpirun may say 137 where it is the first to see that rank go.
void expect_verdict(DriverRun& run, int rank, const std::vector<std::string>& parts) {
  const int status = run.finish();
  EXPECT_TRUE(status == 1 || status == 137) << status << "\n" << run.output();
  EXPECT_EQ(count_of(run.output(), "status "), 1) << run.output();
  const std::string name = std::to_string(rank);
  expect_parts(run.output(), {"status 1 rank " + name + " by ", "rank " + name + " (host ", "pid " + run.pid(rank) + ")"});
  expect_parts(run.output(), parts);
  EXPECT_TRUE(run.is_over());
}

TEST(Watch, LetsARunWithoutFaultsBe) {
  for (const int ranks : {1, 2, 4}) {
    DriverRun run(ranks, "steps --steps=40 --silent-ms=3000 --late-ms=3000");
    EXPECT_EQ(run.finish(), 0);
    EXPECT_EQ(run.output(), "done\n");
  }
}

TEST(Watch, NamesAStoppedRankAndWhoWaitsForIt) {
  DriverRun run(4, "steps --silent-ms=2000");
  run.signal({1}, SIGSTOP);
  expect_verdict(run, 1, {"is stopped (SIGSTOP): no beat for", " ago it was in step ",
                          "ranks 0, 2, 3 wait for it in gradient bucket 0 of step "});
}

TEST(Watch, NamesAStoppedLastRank) {
  DriverRun run(3, "steps --silent-ms=2000");
  run.signal({2}, SIGSTOP);
  expect_verdict(run, 2, {"is stopped (SIGSTOP)", "ranks 0, 1 wait for it in gradient bucket 0"});
}

TEST(Watch, NamesAStoppedRankZero) {
  DriverRun run(3, "steps --silent-ms=2000");
  run.signal({0}, SIGSTOP);
  expect_verdict(run, 0, {"rank 0 by 1: ", "is stopped (SIGSTOP)", "ranks 1, 2 wait for it in gradient bucket 0"});
}

TEST(Watch, NamesRankZeroToTheOnlyOtherRank) {
  DriverRun run(2, "steps --silent-ms=2000");
  run.signal({0}, SIGSTOP);
  expect_verdict(run, 0, {"rank 0 by 1: ", "is stopped (SIGSTOP)"});
}

TEST(Watch, HasTheLastRankJudgeRankZeroWhereRankOneIsStoppedToo) {
  DriverRun run(4, "steps --silent-ms=2000");
  run.signal({0, 1}, SIGSTOP);
  expect_verdict(run, 0, {"rank 0 by 3: ", "is stopped (SIGSTOP)"});
}

TEST(Watch, NamesAKilledRankBeforeMpirunEndsTheOthers) {
  for (const int rank : {1, 2, 0}) {
    DriverRun run(3, "die=" + std::to_string(rank));
    expect_verdict(run, rank, {"was killed or crashed: its process is gone", " ago it was in step ",
                               "wait for it in gradient bucket 0 of step 100"});
  }
}

TEST(Watch, NamesAKilledRankOverTcpToo) {
  DriverRun run(3, "die=1", "--mca btl tcp,self");
  expect_verdict(run, 1, {"was killed or crashed: its process is gone"});
}

TEST(Watch, NamesACrashedRank) {
  DriverRun run(3, "die-abort=2");
  run.finish();
  expect_parts(run.output(), {"status 1 rank 2 by 0: ", "was killed or crashed: its process is gone"});
}

TEST(Watch, NamesADeadRankWhereMpirunLetsTheOthersLive) {
  DriverRun run(3, "die=0", "--enable-recovery");
  run.finish();
  expect_parts(run.output(), {"status 1 rank 0 by 1: ", "was killed or crashed: its process is gone"});
  EXPECT_TRUE(run.is_over());
}

TEST(Watch, TakesAStoppedRankWithItWhereMpirunLetsRanksBe) {
  DriverRun run(3, "steps --silent-ms=2000", "--enable-recovery");
  run.signal({1}, SIGSTOP);
  EXPECT_EQ(run.finish(), 0);  // --enable-recovery: always; 124 where mpirun would wait for the stopped rank for ever
  expect_parts(run.output(), {"status 1 rank 1 by 0: ", "is stopped (SIGSTOP)"});
  EXPECT_TRUE(run.is_over());
}

TEST(Watch, TellsWhoIsLateWithOpAndTheRunGoesOn) {
  DriverRun run(3, "slow=1 --late-ms=1000 --delay-ms=5500 --steps=8");
  EXPECT_EQ(run.finish(), 0) << run.output();
  expect_parts(run.output(), {"late: rank 1 (host ", "is late: step 5, compute: conv1 convolution for ",
                              "ranks 0, 2 wait for it in gradient bucket 0 of step 5, since ",
                              "the run goes on; it ends when a wait reaches 60 s (--timeout)", "done\n"});
  const int told = count_of(run.output(), "late: rank 1 (");
  EXPECT_GE(told, 2) << run.output();  // after 1, 2 and 4 s; a busy machine may see two of them at once
  EXPECT_LE(told, 3) << run.output();
}

TEST(Watch, TellsWhichFileALateRankReads) {
  DriverRun run(2, "files=1 --late-ms=1000 --delay-ms=3500 --steps=8");
  EXPECT_EQ(run.finish(), 0) << run.output();
  expect_parts(run.output(), {"late: rank 1 (host ", "input: samples of step 5 for ", "input: train-00002-of-00003.h5 for ",
                              "(loader 0)", "rank 0 waits for it in"});
}

TEST(Watch, EndsTheRunAtTheTimeoutWithTheRankThatNeverComes) {
  DriverRun run(3, "absent=1 --late-ms=1000 --delay-ms=50000 --timeout-ms=5000");
  expect_verdict(run, 1, {"late: rank 1 (host ", "waited 5.", "s for rank 1 in gradient bucket 0 of step 5; rank 1 (host ",
                          "compute: conv1 convolution for "});
}

TEST(Watch, FollowsAChainOfWaitsToItsEnd) {
  DriverRun run(3, "chain --late-ms=2000 --delay-ms=4500 --steps=8");
  EXPECT_EQ(run.finish(), 0) << run.output();
  expect_parts(run.output(), {"late: rank 0 (host ", "rank 1 waits for it in", "behind them rank 2"});
  EXPECT_EQ(count_of(run.output(), "late: rank 1 ("), 0) << run.output();
  EXPECT_EQ(count_of(run.output(), "late: rank 2 ("), 0) << run.output();
}

TEST(Watch, NamesRanksThatWaitForEachOther) {
  DriverRun run(3, "cycle --late-ms=3000 --timeout-ms=9000");
  EXPECT_EQ(run.finish(), 1) << run.output();
  expect_parts(run.output(), {"late: ranks 1, 2 wait for each other: rank ", "a mismatch"});
}

TEST(Watch, BlamesNobodyAfterAllWereStoppedForLongerThanItsPatience) {
  DriverRun run(3, "steps --steps=500 --silent-ms=2000 --late-ms=3000");
  run.signal({0, 1, 2}, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  run.signal({0, 1, 2}, SIGCONT);
  EXPECT_EQ(run.finish(), 0) << run.output();
  EXPECT_EQ(run.output(), "done\n");
}

TEST(Watch, ExcusesARankThatLeavesBeforeTheOthers) {
  for (const int rank : {0, 1, 2}) {
    DriverRun run(3, "leave=" + std::to_string(rank) + " --steps=20 --silent-ms=1500 --delay-ms=3000");
    EXPECT_EQ(run.finish(), 0) << run.output();
    EXPECT_EQ(run.output(), "done\n");
  }
}

}  // namespace
}  // namespace convoy
