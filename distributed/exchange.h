#pragma once
// How ranks turn their partial sums of one bucket into the root of the tree, on every rank. Runs on the
// communication thread; all ranks call run() for the same buckets in the same order.
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/device.h"
#include "distributed/communicator.h"
#include "distributed/reduction.h"

namespace convoy {

class Exchange {
 public:
  virtual ~Exchange() = default;
  /// `sums`: this rank's subtrees_inside(its share), each of `elements` floats, which are overwritten. Returns
  /// the one of them that then holds the root. `rounding`: of every sum; where there is one, `sums` are rounded already,
  /// and 2 bytes an element travel instead of 4. `tag`: the same on all ranks, below 2^19.
  virtual float* run(const std::vector<float*>& sums, std::size_t elements, SumRounding rounding, int tag) = 0;
  /// Scratch memory.
  virtual std::size_t memory_bytes() const = 0;
  /// Handed to the communicator's send(), in all since the start; 0 where the library sends.
  virtual std::int64_t sent_bytes() const = 0;
};

/// Elements of the largest bucket, and of the largest that is rounded (0: none is): they size the scratch memory.
struct LargestBuckets {
  std::size_t elements = 0;
  std::size_t rounded = 0;
};

/// R and V powers of two: vector halving with distance doubling, then the same steps in reverse to gather. Each
/// rank sends and receives 2 (R - 1) / R of the bucket in 2 log2 R steps; most bytes move between near ranks.
std::unique_ptr<Exchange> make_halving_exchange(Communicator& communicator, const LargestBuckets& largest);

/// Any R <= V: every rank sends, of each of its subtrees, slice q to rank q, which finishes the tree there;
/// then everybody sends its finished slice to all. With one subtree a rank also 2 (R - 1) / R of the bucket, in
/// 2 (R - 1) messages.
std::unique_ptr<Exchange> make_direct_exchange(Communicator& communicator, int virtual_workers,
                                               const LargestBuckets& largest);

/// The library's all-reduce of each rank's own sum. Blocks without a deadline.
std::unique_ptr<Exchange> make_fast_exchange(Communicator& communicator);

/// The exchange for these options. UsageError for a rounded bucket and ReductionKind::fast: where the library adds, nothing
/// says what it rounds.
std::unique_ptr<Exchange> make_exchange(Communicator& communicator, ReductionKind kind, int virtual_workers,
                                        const LargestBuckets& largest);

}  // namespace convoy
