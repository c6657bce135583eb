// Where parts lie and what is added in one go: the same tree as adds_to_root.
#include "distributed/placed_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "distributed/reduction.h"

namespace convoy {
namespace {

std::vector<Subtree> parts_of(int ranks, int leaves) {
  std::vector<Subtree> parts;
  for (int r = 0; r < ranks; ++r) {
    const auto [first, last] = share_of(r, ranks, 0, leaves);
    for (const Subtree& part : subtrees_inside(first, last, leaves)) parts.push_back(part);
  }
  return parts;
}

/// The root as a formula: "((0+1)+2)".
std::string formula(int a, int b) {
  if (b - a == 1) return std::to_string(a);
  const int split = tree_split(a, b);
  return "(" + formula(a, split) + "+" + formula(split, b) + ")";
}

std::string formula_of_runs(const std::vector<Subtree>& parts, const PlacedTree& tree) {
  std::vector<std::string> places(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i)
    places.at(static_cast<std::size_t>(tree.place[i])) = formula(parts[i].begin, parts[i].end);
  for (const AddRun& run : tree.runs) {
    const std::vector<std::string> before = places;  // all of a run at once
    for (int i = 0; i < run.count; ++i) {
      const auto target = static_cast<std::size_t>(run.target + i), source = static_cast<std::size_t>(run.source + i);
      places.at(target) = "(" + before.at(target) + "+" + before.at(source) + ")";
    }
  }
  return places.front();
}

TEST(PlacedTree, IsTheTreeForAnyLeavesAndRanks) {
  for (int leaves = 1; leaves <= 33; ++leaves) {
    for (int ranks = 1; ranks <= leaves; ++ranks) {
      const std::vector<Subtree> parts = parts_of(ranks, leaves);
      EXPECT_EQ(formula_of_runs(parts, place_tree(parts, leaves)), formula(0, leaves)) << ranks << " of " << leaves;
    }
  }
}

TEST(PlacedTree, TakesOneRunALevelWherePartsAreEqual) {
  for (const int ranks : {1, 2, 4, 8, 64}) {
    int levels = 0;
    while (1 << levels < ranks) ++levels;
    EXPECT_EQ(static_cast<int>(place_tree(parts_of(ranks, 64), 64).runs.size()), levels) << ranks;
  }
}

TEST(PlacedTree, GivesEveryPartAPlaceOfItsOwn) {
  const auto parts = parts_of(5, 23);
  std::vector<int> places = place_tree(parts, 23).place;
  EXPECT_EQ(places.front(), 0);
  std::sort(places.begin(), places.end());
  for (std::size_t i = 0; i < places.size(); ++i) EXPECT_EQ(places[i], static_cast<int>(i));
}

}  // namespace
}  // namespace convoy
