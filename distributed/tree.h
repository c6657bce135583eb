#pragma once
// The shape of the reduction tree over V leaves (design: section 4); share_of and tree_split are in
// reduction.h.
#include <vector>

#include "distributed/reduction.h"

namespace convoy {

/// A node of the tree: the sum over leaves [begin, end).
struct Subtree {
  int begin = 0;
  int end = 0;
  friend bool operator==(const Subtree&, const Subtree&) = default;
};

/// The largest nodes of the tree over [0, leaves) that lie inside [begin, end), in leaf order.
std::vector<Subtree> subtrees_inside(int begin, int end, int leaves);

/// sums[target] = sums[target] + sums[source]; target holds the left operand.
struct TreeAdd {
  int target = 0;
  int source = 0;
};

/// The additions that turn the sums of `parts` (nodes of the tree over [0, leaves) that cover it, in leaf
/// order) into the root, which ends up in sums[0].
std::vector<TreeAdd> adds_to_root(const std::vector<Subtree>& parts, int leaves);

}  // namespace convoy
