#include "distributed/tree.h"

#include <gtest/gtest.h>

#include <string>

namespace convoy {
namespace {

TEST(Tree, SplitsAtTheLargestPowerOfTwoBelowTheLength) {
  EXPECT_EQ(tree_split(0, 2), 1);
  EXPECT_EQ(tree_split(0, 3), 2);
  EXPECT_EQ(tree_split(0, 8), 4);
  EXPECT_EQ(tree_split(0, 12), 8);
  EXPECT_EQ(tree_split(8, 12), 10);
  EXPECT_EQ(tree_split(4, 7), 6);
}

TEST(Tree, SharesCoverTheLeavesInOrder) {
  for (int leaves = 1; leaves <= 20; ++leaves) {
    for (int ranks = 1; ranks <= leaves; ++ranks) {
      int next = 0;
      for (int r = 0; r < ranks; ++r) {
        const auto [first, last] = share_of(r, ranks, 0, leaves);
        EXPECT_EQ(first, next);
        EXPECT_EQ(first, r * leaves / ranks);  // the design's formula
        EXPECT_GT(last, first) << "a rank without a leaf";
        next = last;
      }
      EXPECT_EQ(next, leaves);
    }
  }
  EXPECT_EQ(share_of(1, 2, 3, 6), (std::pair{4, 6}));
}

TEST(Tree, LargestSubtreesOfAShare) {
  EXPECT_EQ(subtrees_inside(0, 8, 8), (std::vector<Subtree>{{0, 8}}));
  EXPECT_EQ(subtrees_inside(2, 5, 8), (std::vector<Subtree>{{2, 4}, {4, 5}}));
  EXPECT_EQ(subtrees_inside(3, 6, 6), (std::vector<Subtree>{{3, 4}, {4, 6}}));
  EXPECT_EQ(subtrees_inside(1, 7, 8), (std::vector<Subtree>{{1, 2}, {2, 4}, {4, 6}, {6, 7}}));
}

TEST(Tree, AdditionsOfAnyPartsGiveTheSameExpression) {
  const auto expression = [](const std::vector<Subtree>& parts, int leaves) {
    std::vector<std::string> sums;
    for (const Subtree& part : parts) {
      std::vector<Subtree> single;
      for (int leaf = part.begin; leaf < part.end; ++leaf)
        single.push_back({leaf - part.begin, leaf - part.begin + 1});
      std::vector<std::string> inside;
      for (int leaf = part.begin; leaf < part.end; ++leaf) inside.push_back(std::to_string(leaf));
      for (const TreeAdd& add : adds_to_root(single, part.end - part.begin)) {
        inside[static_cast<std::size_t>(add.target)] = "(" + inside[static_cast<std::size_t>(add.target)] +
                                                       "+" + inside[static_cast<std::size_t>(add.source)] + ")";
      }
      sums.push_back(inside[0]);
    }
    for (const TreeAdd& add : adds_to_root(parts, leaves)) {
      sums[static_cast<std::size_t>(add.target)] = "(" + sums[static_cast<std::size_t>(add.target)] + "+" +
                                                   sums[static_cast<std::size_t>(add.source)] + ")";
    }
    return sums[0];
  };
  EXPECT_EQ(expression({{0, 6}}, 6), "(((0+1)+(2+3))+(4+5))");
  for (int leaves = 1; leaves <= 17; ++leaves) {
    const std::string whole = expression({{0, leaves}}, leaves);
    for (int ranks = 1; ranks <= leaves; ++ranks) {
      std::vector<Subtree> parts;
      for (int r = 0; r < ranks; ++r) {
        const auto [first, last] = share_of(r, ranks, 0, leaves);
        for (const Subtree& part : subtrees_inside(first, last, leaves)) parts.push_back(part);
      }
      EXPECT_EQ(expression(parts, leaves), whole) << ranks << " ranks";
    }
  }
}

}  // namespace
}  // namespace convoy
