#pragma once
// Which messages the deterministic exchanges send, as data: what halving_exchange.cpp and direct_exchange.cpp carry out and
// simulation/ predicts. Pure arithmetic.
#include <cstddef>
#include <vector>

#include "distributed/chunks.h"
#include "distributed/exchange.h"
#include "distributed/tree.h"

namespace convoy {

/// Pieces of a message that are under way at once.
inline constexpr std::size_t kUnderWay = 2;

/// Whether R ranks exchange by vector halving; else directly.
bool exchanges_by_halving(int ranks, int virtual_workers);

/// One step of vector halving at distance 1, 2, 4, ...: a rank sends `theirs` to its peer, and adds what comes for `mine`.
/// The same steps in reverse order gather: it sends `mine` and receives `theirs`.
struct HalvingStep {
  int peer = 0;
  bool lower = true;  // than the peer: it holds the left operand, and keeps the lower half
  Range mine, theirs;
};
std::vector<HalvingStep> halving_steps(int rank, int ranks, std::size_t elements);
/// Elements of a piece of a message.
std::size_t halving_chunk(std::size_t largest_elements);

/// The subtrees that all ranks hold, in leaf order, and what makes the root of them. Every rank sends, of each subtree that
/// it holds, slice_of(q) to rank q = r + 1, r + 2, ...; rank q adds, and sends its slice to q + 1, q + 2, ...
struct DirectParts {
  std::vector<int> owners;     // rank that holds each part
  std::vector<TreeAdd> adds;
  std::size_t first_of(int rank) const;
  std::size_t count_of(int rank) const;
};
DirectParts direct_parts(int ranks, int virtual_workers);
std::size_t direct_chunk(std::size_t largest_elements, int ranks, std::size_t parts);

/// What an exchange's memory_bytes() says, without making it.
std::size_t exchange_memory_bytes(ReductionKind kind, int rank, int ranks, int virtual_workers, const LargestBuckets& largest);

}  // namespace convoy
