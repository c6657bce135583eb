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
  std::vector<SumRounding> rounding = {};  // by bucket; empty: none
  bool lends = false;     // threads lend their last leaves
};

/// Micro-batch `leaf`'s element i of a bucket: values whose sums round at every addition, so that any other order shows.
float leaf_value(std::int64_t step, int leaf, std::size_t bucket, std::int64_t i);

/// The definition, on floats: the sum over leaves [a, b) splits at the largest power of two below its length.
float tree_sum(std::int64_t step, int a, int b, std::size_t bucket, std::int64_t i, SumRounding rounding);

/// Runs the steps on this rank and expects the tree's bits (for fast: the sum within rounding).
void check_reduction(Communicator& world, const ReductionCase& spec);

/// Bucket sizes: odd, smaller than a cache line, none at all, one of several chunks.
std::vector<std::int64_t> awkward_buckets();
/// For those: rounded and exact ones side by side.
std::vector<SumRounding> awkward_rounding();

}  // namespace convoy
