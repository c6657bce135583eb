#pragma once
// Where the parts of a tree lie side by side in memory, so that few additions of long arrays sum them: on a device each
// addition is a kernel, whose start takes longer than a short array.
#include <vector>

#include "distributed/tree.h"

namespace convoy {

/// Places [target, target + count) += places [source, source + count), each target being the left operand.
struct AddRun {
  int target = 0;
  int source = 0;
  int count = 0;
};

/// Part i lies in place[i] (a permutation; place[0] is 0). After the runs, in order, place 0 holds the root. 2^k parts that
/// are equal subtrees take k runs: their places are bit-reversed, so that what is added on one level are two halves.
struct PlacedTree {
  std::vector<int> place;
  std::vector<AddRun> runs;
};

/// `parts`: nodes of the tree over [0, leaves) that cover it, in leaf order, at least one.
PlacedTree place_tree(const std::vector<Subtree>& parts, int leaves);

}  // namespace convoy
