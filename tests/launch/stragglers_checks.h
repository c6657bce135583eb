#pragma once
// What stragglers_test.cpp (threads) and stragglers_mpi_test.cpp (processes) check alike.
#include <gtest/gtest.h>

#include "launch/train/stragglers.h"

namespace convoy {

/// Collective, three ranks or more. Clocks are hours apart, rank 2 comes 5 s late for want of input: only aligned clocks
/// can tell.
inline void check_stragglers(Communicator& world) {
  const std::int64_t skew = world.rank() * 7'200'000'000'000;
  const bool slow = world.rank() == 2;
  const auto clock = [skew] { return monotonic_ns() + skew; };
  Stragglers stragglers(world, clock);
  std::int64_t begin = monotonic_ns();  // rank 0's clock is the true one; everybody speaks of the same steps
  world.broadcast(&begin, sizeof begin, 0);
  for (std::int64_t record = 1; record <= 2; ++record) {
    for (std::int64_t step = 0; step < 600; ++step) {
      const std::int64_t due = begin + (600 * record + step) * 10'000'000'000;
      stragglers.times().add({.input = slow ? 5.0 : 0, .compute = 4, .communication = slow ? 0 : 5.0, .checkpoint = 0}, 10,
                             due + skew + (slow ? 5'000'000'000 : 0));
    }
    stragglers.record(600 * record);  // aligns the clocks anew in the second
  }
  const StragglerReport& report = stragglers.report();
  if (world.rank() != 0) {
    EXPECT_TRUE(report.ranks.empty());
    return;
  }
  ASSERT_EQ(report.ranks.size(), static_cast<std::size_t>(world.size()));
  ASSERT_EQ(report.slow.size(), 1U);
  EXPECT_EQ(report.slow[0].rank, 2);
  EXPECT_EQ(report.slow[0].cause, SlowCause::input);
  EXPECT_NEAR(report.ranks[2].late, 5000, 1000);  // the alignment's error is a few ms on the worst of machines
  EXPECT_NEAR(report.ranks[1].late, 0, 1000);
}

}  // namespace convoy
