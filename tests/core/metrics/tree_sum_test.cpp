#include "core/metrics/tree_sum.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random/philox.h"

namespace convoy {
namespace {

TEST(TreeSum, SplitsAtTheLargestPowerOfTwoBelow) {
  const std::vector<std::pair<std::size_t, std::size_t>> cases = {{2, 1}, {3, 2}, {4, 2}, {5, 4},
                                                                  {7, 4}, {8, 4}, {9, 8}, {1000, 512}};
  for (const auto& [count, split] : cases) EXPECT_EQ(tree_split(count), split) << count;
}

TEST(TreeSum, AddsInTheOrderOfTheTree) {
  // Terms of such different sizes that every other order of additions rounds differently.
  const RandomKey key(1, "terms");
  std::vector<double> x(7);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (key.uniform_double(i) - 0.5) * (i % 2 ? 1 : 1e8);
  EXPECT_EQ(tree_sum(x), ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + x[6]));
  const std::vector<double> five(x.begin(), x.begin() + 5);
  EXPECT_EQ(tree_sum(five), ((x[0] + x[1]) + (x[2] + x[3])) + x[4]);
  EXPECT_NE(tree_sum(five), x[0] + (x[1] + (x[2] + (x[3] + x[4]))));
}

TEST(TreeSum, OfNothingIsZeroAndOfOneTheTerm) {
  EXPECT_EQ(tree_sum({}), 0);
  const std::vector<double> one = {0.1};
  EXPECT_EQ(tree_sum(one), 0.1);
}

TEST(TreeSum, OfWholeSubtreesIsTheSum) {
  // Someone may sum [0, 8) and [8, 13) apart, as ranks do.
  const RandomKey key(2, "terms");
  std::vector<double> x(13);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = key.normal(i);
  const std::span<const double> all(x);
  EXPECT_EQ(tree_sum(all), tree_sum(all.first(8)) + tree_sum(all.subspan(8)));
}

}  // namespace
}  // namespace convoy
