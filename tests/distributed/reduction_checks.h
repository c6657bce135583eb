#pragma once
// The reducer against a plain recursive tree, whatever the communicator.
#include <cstdint>
#include <vector>

#include "distributed/reduction.h"

namespace convoy {

struct ReductionCase {
  int virtual_workers = 1;
  int threads = 1;
  std::vector<std::int64_t> buckets;
  int steps = 1;
  bool shuffled = false;  // leaves and buckets in any order, with random pauses
  ReductionKind kind = ReductionKind::deterministic;
};

/// Runs the steps on this rank and expects the tree's bits (for fast: the sum within rounding).
void check_reduction(Communicator& world, const ReductionCase& spec);

/// Bucket sizes: odd, smaller than a cache line, none at all, one of several chunks.
std::vector<std::int64_t> awkward_buckets();

}  // namespace convoy
