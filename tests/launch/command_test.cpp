// What a user sees of convoy's subcommands: help, messages and exit statuses (design: section 8).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "launch/commands/commands.h"
#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

/// Status 2, nothing on stdout, and one line that holds `parts`.
void expect_usage_error(const Outcome& outcome, std::initializer_list<std::string> parts) {
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("convoy: ")) << outcome.err;
  test::expect_parts(outcome.err, parts);
}

TEST(Help, OfEveryActionExitsWithZeroAndShowsUsageAndExamples) {
  for (const Command& command : commands()) {
    for (const Action& action : command.actions) {
      const Outcome outcome = convoy_with(action.path + " --help");
      EXPECT_EQ(outcome.status, 0) << action.path;
      EXPECT_EQ(outcome.err, "") << action.path;
      test::expect_parts(outcome.out, {"Usage: convoy " + action.path, "Examples:\n", "--config=PATH"});
    }
  }
}

TEST(Help, OfEveryCommandNamesItsActions) {
  for (const Command& command : commands()) {
    const Outcome outcome = convoy_with(command.name + " --help");
    EXPECT_EQ(outcome.status, 0) << command.name;
    for (const Action& action : command.actions) test::expect_parts(outcome.out, {"convoy " + action.path});
  }
}

TEST(Help, OfConvoyListsEveryCommand) {
  const Outcome outcome = convoy_with("--help");
  EXPECT_EQ(outcome.status, 0);
  for (const Command& command : commands())
    test::expect_parts(outcome.out, {"\n  " + command.name, command.summary});
}

TEST(Actions, HaveOneFunctionAndADescriptionEach) {
  for (const Command& command : commands()) {
    for (const Action& action : command.actions) {
      EXPECT_NE(static_cast<bool>(action.run), static_cast<bool>(action.run_on_ranks)) << action.path;
      EXPECT_TRUE(action.usage.starts_with(action.path)) << action.path;
      EXPECT_FALSE(action.description.empty() || action.examples.empty()) << action.path;
    }
  }
}

TEST(Usage, NoCommandIsWrong) { expect_usage_error(convoy_with(""), {"--help"}); }

TEST(Usage, AnUnknownCommandSuggestsTheNearest) {
  expect_usage_error(convoy_with("verison"), {"'verison'", "did you mean version?"});
}

TEST(Usage, AnUnknownActionSuggestsTheNearest) {
  expect_usage_error(convoy_with("data improt"), {"'improt'", "did you mean import?"});
}

TEST(Usage, AMissingActionNamesAll) {
  expect_usage_error(convoy_with("data"), {"import, info, verify, stats"});
}

TEST(Usage, AnUnknownOptionSuggestsTheNearest) {
  expect_usage_error(convoy_with("version --fromat=json"), {"fromat", "did you mean format?"});
}

TEST(Usage, AConfigFileErrorNamesFileAndLine) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "run.cfg", "[train]\nepoch = 5\n");
  expect_usage_error(convoy_with("train --config='" + (folder.path() / "run.cfg").string() + "'"),
                     {"run.cfg:2", "train.epoch", "did you mean train.epochs?"});
}

TEST(Usage, AFailingRunOnThreeRanksSaysSoOnce) {
  const Outcome outcome =
      run_command(std::string(CONVOY_MPIRUN) + " -n 3 '" + CONVOY_BINARY + "' train --seed=x");
  expect_usage_error(outcome, {"seed = 'x'", "whole number"});
}

TEST(Usage, AnUnknownCommandOnThreeRanksIsReportedOnce) {
  const Outcome outcome = run_command(std::string(CONVOY_MPIRUN) + " -n 3 '" + CONVOY_BINARY + "' tran");
  expect_usage_error(outcome, {"did you mean train?"});
}

TEST(Results, ThatCannotBeWrittenAreAFailure) {
  const Outcome outcome = convoy_with("version > /dev/full");
  EXPECT_EQ(outcome.status, 1);
  test::expect_parts(outcome.err, {"stdout", "could not be written"});
}

TEST(CheckpointCommand, NamesAMissingPathAsWrongUsage) {
  expect_usage_error(convoy_with("checkpoint show"), {"path is missing"});
  expect_usage_error(convoy_with("checkpoint verify no/such"), {"no/such"});
  expect_usage_error(convoy_with("checkpoint list no/such"), {"no/such"});
}

TEST(CheckpointCommand, ADamagedFileIsBadData) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "step-00000001.h5", "not HDF5 at all");
  const std::string file = "'" + (folder.path() / "step-00000001.h5").string() + "'";
  for (const char* action : {"show ", "verify "}) {
    const Outcome outcome = convoy_with("checkpoint " + (action + file));
    EXPECT_EQ(outcome.status, 3) << outcome.err;
    test::expect_parts(outcome.err, {"step-00000001.h5"});
  }
  const Outcome list = convoy_with("checkpoint list --format=json '" + folder.path().string() + "'");
  EXPECT_EQ(list.status, 0) << list.err;
  test::expect_parts(list.out, {"\"step\": 1", "\"best\": false"});
}

TEST(BenchReduce, FindsExactSumsOnThreeRanks) {
  const Outcome outcome = run_command(std::string(CONVOY_MPIRUN) + " -n 3 '" + CONVOY_BINARY +
                                      "' bench reduce --elements=10000 --repetitions=1 --format=json");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  test::expect_parts(outcome.out, {"\"ranks\": 3", "\"verified\": true"});
  EXPECT_EQ(outcome.out.find("\"verified\": false"), std::string::npos);
}

TEST(BenchLoader, MeasuresFourWaysToReadTheDataItMade) {
  const Outcome outcome =
      convoy_with("bench loader --input=5x4x1 --repetitions=1 --data.crop=4 --data.pad=1 --data.flip");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  test::expect_parts(outcome.out, {"[5, 4, 1] uint8", "pread alone", "checksum", "loader:", "crop, flip"});
}

TEST(BenchOps, SetsEveryOpBesideTheLimits) {
  const Outcome outcome = convoy_with("bench ops --model=lenet-5 --batch=4 --repetitions=1 --device=cpu --format=json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto found = nlohmann::json::parse(outcome.out);
  EXPECT_GT(found["limits"]["bytes_per_second"].get<double>(), 0);
  EXPECT_GT(found["limits"]["flops_per_second"]["float32"].get<double>(), 0);
  std::set<std::string> ops;
  for (const auto& row : found["ops"]) {
    ops.insert(row["op"].get<std::string>());
    EXPECT_GT(row["of_limit"].get<double>(), 0) << row;
  }
  for (const char* op : {"prepare", "conv", "conv_backward_filters", "dense_backward_data", "pool_backward"})
    EXPECT_TRUE(ops.contains(op)) << op;
}

TEST(BenchStep, TellsTheShareOfTheCeiling) {
  const Outcome outcome = convoy_with("bench step --model=lenet-5 --batch=8 --steps=1 --repetitions=1 --limits --format=json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto found = nlohmann::json::parse(outcome.out);
  EXPECT_NEAR(found["share_of_ceiling"].get<double>(),
              found["ceiling_seconds"].get<double>() / found["median_seconds"].get<double>(), 1e-9);
}

TEST(BenchCheckpoint, LeavesNothingBehind) {
  const TemporaryFolder folder;
  const Outcome outcome = convoy_with("bench checkpoint --bytes=100000 --tensors=4 --repetitions=2 --output='" +
                                      folder.path().string() + "'");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  test::expect_parts(outcome.out, {"save", "load"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace convoy
