#include "distributed/agreement.h"

#include <gtest/gtest.h>

#include "core/tensor/error.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

TEST(Agreement, AcceptsEqualTexts) {
  on_ranks(3, [](Communicator& world) { check_agreement(world, "the config", "a = 1\nb = 2\n"); });
}

TEST(Agreement, NamesTheFirstRankAndLineThatDifferOnEveryRank) {
  on_ranks(4, [](Communicator& world) {
    try {
      check_agreement(world, "the config",
                      world.rank() >= 2 ? "a = 1\nb = " + std::to_string(world.rank()) : "a = 1\nb = 1");
      ADD_FAILURE() << "accepted texts that differ";
    } catch (const UsageError& error) {
      EXPECT_STREQ(
          error.what(),
          "rank 2 differs from rank 0 in the config, line 2: rank 0 has \"b = 1\", it has \"b = 2\". Start "
          "every rank with the same files and options");
    }
  });
}

TEST(Agreement, NamesALineThatOneRankLacks) {
  on_ranks(2, [](Communicator& world) {
    try {
      check_agreement(world, "the run record", world.rank() == 0 ? "a\nb\n" : "a\n");
      ADD_FAILURE() << "accepted texts that differ";
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("line 2: rank 0 has \"b\", it has \"(end of text)\""),
                std::string::npos)
          << error.what();
    }
  });
}

}  // namespace
}  // namespace convoy
