// main() of the tests that run on several ranks. Every rank runs every test. The first failed expectation or
// stray exception on any rank is printed, once, and ends the whole run with status 1: the others may already
// wait for the rank that failed.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "support/mpi_world.h"

namespace convoy {
namespace {

std::optional<World> world;

// Shorter than any test's time limit, so that a hang is told by name.
constexpr std::chrono::seconds kDeadline{20};

class EndRunAtFailure final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    where_ = std::string(test.test_suite_name()) + "." + test.name();
  }
  // GoogleTest holds its lock here: no question may be put to UnitTest.
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (!part.failed()) return;
    std::string file = part.file_name() == nullptr ? "unknown file" : part.file_name();
    file = file.substr(file.rfind('/') + 1);
    world->fail(1, where_ + " (" + file + ":" + std::to_string(part.line_number()) + "): " + part.message());
  }
  std::string where_ = "outside of a test";
};

int expected_ranks(int argc, char** argv) {
  constexpr std::string_view kOption = "--expect-ranks=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kOption)) return std::atoi(argument.substr(kOption.size()).data());
  }
  return 0;
}

/// Tests that ran, or a failure of the world if ranks disagree.
void check_outcome(int status) {
  std::int64_t ran = testing::UnitTest::GetInstance()->successful_test_count();
  std::int64_t range[] = {ran, -ran, status};
  world->all().at("the outcome of the tests", -1);
  world->all().all_reduce(range, ReduceOp::max);
  if (range[2] != 0) world->fail(1, "tests failed");
  if (range[0] != -range[1]) world->fail(1, "the ranks did not run the same tests");
  if (ran == 0) world->fail(1, "no test ran");
}

}  // namespace

World& mpi_world() { return *world; }

}  // namespace convoy

int main(int argc, char** argv) {
  using namespace convoy;
  testing::InitGoogleTest(&argc, argv);
  world.emplace(&argc, &argv);
  world->all().set_deadline(kDeadline);
  world->on_bad_news(
      [](const BadNews& news) { std::fprintf(stderr, "rank %d: %s\n", news.rank, news.reason.c_str()); });
  const int expected = expected_ranks(argc, argv);
  if (world->size() != expected) {
    world->fail(2, "--expect-ranks=" + std::to_string(expected) + ", but " + std::to_string(world->size()) +
                       " ranks were started");
  }
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (world->rank() != 0) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new EndRunAtFailure);  // owned by the list
  const int status = RUN_ALL_TESTS();
  check_outcome(status);
  world.reset();
  return status;
}
