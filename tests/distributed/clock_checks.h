#pragma once
// What clock_test.cpp (threads) and clock_mpi_test.cpp (processes) check alike.
#include <gtest/gtest.h>

#include <cstdlib>

#include "distributed/clock.h"

namespace convoy {

/// How far a rank's clock is ahead of its host's in this test, ns: hours, either way.
inline std::int64_t skew_of(int rank) { return (rank % 2 == 0 ? 1 : -1) * 3'600'000'000'007 * rank; }

/// Collective. All ranks share one true clock here, so the offset is known, and the bound must hold.
inline void check_offset(Communicator& world) {
  const int rank = world.rank();
  ClockOffset offset(world, [rank] { return monotonic_ns() + skew_of(rank); });
  EXPECT_EQ(offset.offset_ns(), 0);
  for (int times = 0; times < 2; ++times) {
    offset.measure();
    EXPECT_LE(std::llabs(offset.offset_ns() - skew_of(rank)), offset.error_ns()) << "rank " << rank;
    EXPECT_EQ(offset.error_ns() == 0, rank == 0);
    EXPECT_LT(offset.error_ns(), 1'000'000'000) << "a bound that says nothing";
    EXPECT_EQ(offset.aligned(skew_of(rank) + 12345), 12345 + skew_of(rank) - offset.offset_ns());
  }
}

}  // namespace convoy
