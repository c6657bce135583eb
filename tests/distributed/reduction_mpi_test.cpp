// The reducer over MPI, on as many ranks as mpirun started.
#include <gtest/gtest.h>

#include "reduction_checks.h"
#include "support/mpi_world.h"

namespace convoy {
namespace {

TEST(MpiReducer, GivesTheTreesBits) {
  for (const int leaves : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16}) {
    if (leaves < mpi_world().size()) continue;
    check_reduction(mpi_world().all(), {.virtual_workers = leaves, .buckets = awkward_buckets(), .steps = 2});
  }
}

TEST(MpiReducer, GivesTheTreesBitsForAnyThreadsAndOrder) {
  for (const int leaves : {8, 12}) {
    for (int threads = 1; threads <= 3; ++threads) {
      check_reduction(mpi_world().all(), {.virtual_workers = leaves,
                                          .threads = threads,
                                          .buckets = {1003, 5, 70'001},
                                          .steps = 2,
                                          .shuffled = true});
    }
  }
}

TEST(MpiReducer, GivesTheTreesBitsForBucketsOfSeveralChunks) {
  check_reduction(mpi_world().all(), {.virtual_workers = 8, .buckets = {1'700'003}});
}

TEST(MpiReducer, GivesTheRoundedTreesBits) {
  for (const int leaves : {1, 3, 4, 5, 7, 8}) {
    if (leaves < mpi_world().size()) continue;
    check_reduction(mpi_world().all(), {.virtual_workers = leaves,
                                        .threads = 2,
                                        .buckets = awkward_buckets(),
                                        .steps = 2,
                                        .rounding = awkward_rounding()});
  }
}

TEST(MpiReducer, SumsFastWithinRounding) {
  check_reduction(mpi_world().all(), {.virtual_workers = 8,
                                      .threads = 2,
                                      .buckets = awkward_buckets(),
                                      .steps = 3,
                                      .kind = ReductionKind::fast});
}

}  // namespace
}  // namespace convoy
