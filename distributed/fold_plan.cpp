#include "distributed/fold_plan.h"

#include <algorithm>
#include <vector>

#include "distributed/tree.h"

namespace convoy {
namespace {

/// Which complete subtrees, newest first, the leaf [leaf, leaf + 1) completes together with those of `alive` before it.
/// A node of the tree over [begin, end) that lies in [first, leaf + 1) and ends at leaf + 1 is completed by this leaf.
int merges_of(int leaf, int first, int begin, int end) {
  int merges = 0;
  while (end - begin > 1) {
    const int split = tree_split(begin, end);
    if (leaf < split) {
      end = split;
      continue;
    }
    if (end == leaf + 1 && begin >= first) ++merges;
    begin = split;
  }
  return merges;
}

}  // namespace

FoldPlan make_fold_plan(int first, int last, int leaves) {
  FoldPlan plan;
  std::vector<int> merges;
  for (int leaf = first; leaf < last; ++leaf) {
    merges.push_back(merges_of(leaf, first, 0, leaves));
    plan.width = std::max(plan.width, 2 + merges.back());
  }
  int alive = 0;  // complete subtrees, in places [0, alive)
  for (int count : merges) {
    const int slot = alive - count;
    plan.rows.insert(plan.rows.end(), {count, slot});
    for (int merge = 0; merge < plan.width - 2; ++merge) plan.rows.push_back(merge < count ? alive - 1 - merge : 0);
    alive = slot + 1;
    plan.places = std::max(plan.places, alive);
  }
  return plan;
}

}  // namespace convoy
