#include "stragglers_checks.h"

#include "support/on_ranks.h"

namespace convoy {
namespace {

TEST(Stragglers, NamesALateRankByAlignedClocks) {
  for (const int ranks : {3, 5}) on_ranks(ranks, check_stragglers);
}

TEST(Stragglers, IsQuietOnARankAlone) {
  on_ranks(1, [](Communicator& world) {
    Stragglers stragglers(world);
    stragglers.times().add({.input = 1, .compute = 1, .communication = 0, .checkpoint = 0}, 2, monotonic_ns());
    EXPECT_TRUE(stragglers.record(1).slow.empty());
    EXPECT_EQ(stragglers.report().ranks.size(), 1U);
  });
}

}  // namespace
}  // namespace convoy
