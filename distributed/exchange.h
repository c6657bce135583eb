#pragma once
// How ranks turn their partial sums of one bucket into the root of the tree, on every rank. Runs on the
// communication thread; all ranks call run() for the same buckets in the same order.
#include <memory>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/reduction.h"

namespace convoy {

class Exchange {
 public:
  virtual ~Exchange() = default;
  /// `sums`: this rank's subtrees_inside(its share), each of `elements` floats, which are overwritten. Returns
  /// the one of them that then holds the root. `tag`: the same on all ranks, below 2^19.
  virtual float* run(const std::vector<float*>& sums, std::size_t elements, int tag) = 0;
  /// Scratch memory.
  virtual std::size_t memory_bytes() const = 0;
};

/// R and V powers of two: vector halving with distance doubling, then the same steps in reverse to gather. Each
/// rank sends and receives 2 (R - 1) / R of the bucket in 2 log2 R steps; most bytes move between near ranks.
std::unique_ptr<Exchange> make_halving_exchange(Communicator& communicator, std::size_t largest_elements);

/// Any R <= V: every rank sends, of each of its subtrees, slice q to rank q, which finishes the tree there;
/// then everybody sends its finished slice to all. With one subtree a rank also 2 (R - 1) / R of the bucket, in
/// 2 (R - 1) messages.
std::unique_ptr<Exchange> make_direct_exchange(Communicator& communicator, int virtual_workers,
                                               std::size_t largest_elements);

/// The library's all-reduce of each rank's own sum. Blocks without a deadline.
std::unique_ptr<Exchange> make_fast_exchange(Communicator& communicator);

/// The exchange for these options; `largest_elements` of the largest bucket sizes the scratch memory.
std::unique_ptr<Exchange> make_exchange(Communicator& communicator, ReductionKind kind, int virtual_workers,
                                        std::size_t largest_elements);

}  // namespace convoy
