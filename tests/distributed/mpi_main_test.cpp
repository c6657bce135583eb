// Tests that must fail, for fault_test.cpp to see that support/mpi_main.cpp tells: disabled in ordinary runs.
#include <gtest/gtest.h>

#include <stdexcept>

#include "support/mpi_world.h"

namespace convoy {
namespace {

bool is_last() { return mpi_world().rank() == mpi_world().size() - 1; }

TEST(MpiMain, DISABLED_ExpectationFailsOnTheLastRank) {
  EXPECT_FALSE(is_last());
  mpi_world().all().barrier();  // the others wait for the one that failed
}

TEST(MpiMain, DISABLED_LastRankThrows) {
  if (is_last()) throw std::runtime_error("thrown by a test");
  mpi_world().all().barrier();
}

}  // namespace
}  // namespace convoy
