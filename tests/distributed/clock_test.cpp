#include "distributed/clock.h"

#include "clock_checks.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

TEST(Clock, FindsTheOffsetWithinItsBoundOnAnyNumberOfRanks) {
  for (const int ranks : {1, 2, 3, 4, 7, 9}) on_ranks(ranks, check_offset);
}

}  // namespace
}  // namespace convoy
