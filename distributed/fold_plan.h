#pragma once
// How one rank's micro-batches are summed by Device::fold: the numbers of its table (FoldTable, core/backend/device.h).
#include <cstdint>
#include <vector>

namespace convoy {

struct FoldPlan {
  std::vector<std::int32_t> rows;  // [last - first, width]: merges, slot, left_1, left_2, ...
  int width = 2;
  /// Sums alive at once. After the last leaf the sums of subtrees_inside(first, last, leaves) stand in places 0, 1, ... in
  /// leaf order.
  int places = 0;
};

/// For leaves [first, last) of the tree over `leaves`, in ascending order.
FoldPlan make_fold_plan(int first, int last, int leaves);

}  // namespace convoy
