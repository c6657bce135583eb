// What mpirun returns, and what is said, when ranks of a run fail. Each run has a time limit far above what it
// needs and far below the deadline that peers would wait for each other: a world that does not end shows as
// status 124.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace convoy {
namespace {

struct Outcome {
  int status;
  std::string output;  // stdout and stderr of all ranks and of mpirun
};

Outcome mpirun(int ranks, const std::string& program, const std::string& mpirun_options = "") {
  const std::string command =
      "timeout -k 2 20 " CONVOY_MPIEXEC
      " -q --allow-run-as-root --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 " +
      mpirun_options + " -n " + std::to_string(ranks) + " " + program + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::string output;
  std::array<char, 4096> piece;
  while (const std::size_t length = std::fread(piece.data(), 1, piece.size(), pipe))
    output.append(piece.data(), length);
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

Outcome run(int ranks, const std::string& arguments, const std::string& mpirun_options = "") {
  return mpirun(ranks, CONVOY_FAULT_DRIVER " " + arguments, mpirun_options);
}

Outcome run_disabled_test(const std::string& name, const std::string& expected_ranks) {
  return mpirun(3, CONVOY_MPI_TEST " --gtest_also_run_disabled_tests --gtest_filter=MpiMain.DISABLED_" + name +
                       " --expect-ranks=" + expected_ranks);
}

TEST(Fault, ARunWithoutOneEndsWithStatusZero) {
  for (const int ranks : {1, 3}) {
    const Outcome outcome = run(ranks, "none");
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.output, "done\n");
  }
}

TEST(Fault, FailEndsAllRanksWithItsStatusAndOneMessage) {
  for (const int failing : {0, 2}) {
    const Outcome outcome = run(3, "usage " + std::to_string(failing));
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.output, "status 2 rank " + std::to_string(failing) + ": a wrong option\n");
  }
}

TEST(Fault, AnyStatusIsMpirunsStatus) {
  const Outcome outcome = run(2, "data");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.output, "status 3 rank 1: sample 412 is damaged\n");
}

TEST(Fault, AWorldOfOneFailsAlike) {
  const Outcome outcome = run(1, "data");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.output, "status 3 rank 0: sample 412 is damaged\n");
}

TEST(Fault, OfSeveralFailuresOneWins) {
  const Outcome outcome = run(4, "all-at-once");
  ASSERT_GE(outcome.status, 1);
  ASSERT_LE(outcome.status, 4);
  const std::string rank = std::to_string(outcome.status - 1);
  EXPECT_EQ(outcome.output,
            "status " + std::to_string(outcome.status) + " rank " + rank + ": rank " + rank + " has failed\n");
}

TEST(Fault, AStrayExceptionEndsAllRanks) {
  const Outcome outcome = run(3, "stray");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.output, "status 1 rank 2: an exception left the program\n");
}

TEST(Fault, AStoppedRankZeroDoesNotSilenceTheOthers) {
  const Outcome outcome = run(3, "rank-0-stopped");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.output, "status 3 rank 2: sample 412 is damaged\n");
}

TEST(Fault, ASilentRankIsNamedWithBucketAndStep) {
  const Outcome outcome = run(2, "silent");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.output,
            "status 1 rank 1: rank 0 waited 1.0 s for rank 1 in gradient bucket 0 of step 20\n");
}

TEST(Fault, ARankThatReturnsEarlyWaitsForTheOthersByItsDeadline) {
  const Outcome outcome = run(2, "return");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.output.find("status 1 rank 0: rank 1 waited 1."), 0U) << outcome.output;
  EXPECT_NE(outcome.output.find("for rank 0 in the end of the run"), std::string::npos) << outcome.output;
}

TEST(Fault, AKilledRankEndsAll) {
  const Outcome outcome = run(3, "kill");
  EXPECT_EQ(outcome.status, 137) << outcome.output;  // 128 + SIGKILL: mpirun's own doing
}

TEST(Fault, WhereMpirunLetsRanksDieTheSurvivorsNameTheDead) {
  const Outcome outcome = run(2, "kill", "--enable-recovery");
  EXPECT_EQ(outcome.status, 0) << outcome.output;  // --enable-recovery: always
  EXPECT_NE(outcome.output.find("for rank 1 in gradient bucket 0 of step 20"), std::string::npos)
      << outcome.output;
}

TEST(MpiMain, AFailedExpectationOnOneRankEndsTheRunWithOneLine) {
  const Outcome outcome = run_disabled_test("ExpectationFailsOnTheLastRank", "3");
  EXPECT_EQ(outcome.status, 1) << outcome.output;
  EXPECT_NE(outcome.output.find("rank 2: MpiMain.DISABLED_ExpectationFailsOnTheLastRank (mpi_main_test.cpp:"),
            std::string::npos)
      << outcome.output;
}

TEST(MpiMain, AnExceptionOnOneRankEndsTheRunWithOneLine) {
  const Outcome outcome = run_disabled_test("LastRankThrows", "3");
  EXPECT_EQ(outcome.status, 1) << outcome.output;
  EXPECT_NE(outcome.output.find("thrown by a test"), std::string::npos) << outcome.output;
}

TEST(MpiMain, AnotherWorldSizeThanExpectedIsAFailure) {
  const Outcome outcome = run_disabled_test("LastRankThrows", "2");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.output.find("--expect-ranks=2, but 3 ranks were started"), std::string::npos)
      << outcome.output;
}

TEST(MpiMain, ARunOfNoTestIsAFailure) {
  const Outcome outcome = mpirun(2, CONVOY_MPI_TEST " --gtest_filter=Nothing.* --expect-ranks=2");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("no test ran"), std::string::npos) << outcome.output;
}

}  // namespace
}  // namespace convoy
