// The fold of a rank's micro-batches against the tree, node by node.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "core/backend/device.h"
#include "distributed/fold_plan.h"
#include "distributed/tree.h"

namespace convoy {
namespace {

/// Values whose sums round at every addition: any other order of additions shows.
float leaf_value(int leaf, std::size_t i) {
  return static_cast<float>(std::sin(1.0 + 13.7 * leaf + static_cast<double>(i)) * std::ldexp(1.0, leaf % 7));
}

float tree_sum(int begin, int end, std::size_t i) {
  if (end - begin == 1) return leaf_value(begin, i);
  const int split = tree_split(begin, end);
  return tree_sum(begin, split, i) + tree_sum(split, end, i);
}

class FoldPlans : public testing::TestWithParam<int> {};

TEST_P(FoldPlans, SumEveryRanksSubtreesToTheBit) {
  constexpr std::size_t kElements = 5;
  const int leaves = GetParam();
  const auto device = make_host_device();
  for (int ranks = 1; ranks <= leaves; ++ranks)
    for (int rank = 0; rank < ranks; ++rank) {
      const auto [first, last] = share_of(rank, ranks, 0, leaves);
      const FoldPlan plan = make_fold_plan(first, last, leaves);
      std::vector<float> places(static_cast<std::size_t>(plan.places) * kElements), leaf(kElements);
      for (std::int32_t i = 0; i < last - first; ++i) {
        for (std::size_t e = 0; e < kElements; ++e) leaf[e] = leaf_value(first + i, e);
        device->fold(Stream::compute, places.data(), leaf.data(), kElements, {plan.rows.data(), plan.width, &i},
                     SumRounding::none);
      }
      const std::vector<Subtree> subtrees = subtrees_inside(first, last, leaves);
      ASSERT_LE(subtrees.size(), static_cast<std::size_t>(plan.places));
      for (std::size_t place = 0; place < subtrees.size(); ++place)
        for (std::size_t e = 0; e < kElements; ++e)
          ASSERT_EQ(places[place * kElements + e], tree_sum(subtrees[place].begin, subtrees[place].end, e))
              << "rank " << rank << " of " << ranks << ", subtree " << place;
    }
}

TEST_P(FoldPlans, KeepAboutLogVSums) {
  const int leaves = GetParam();
  EXPECT_LE(make_fold_plan(0, leaves, leaves).places, std::ilogb(leaves) + 1);
}

INSTANTIATE_TEST_SUITE_P(Leaves, FoldPlans, testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 24, 31));

}  // namespace
}  // namespace convoy
