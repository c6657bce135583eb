#include "core/random/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "core/tensor/error.h"

namespace convoy {
namespace {

Permutation permutation(std::uint64_t n, std::uint64_t seed = 1, std::uint64_t epoch = 0) {
  return Permutation(RandomKey(seed, "order").child(epoch), n);
}

class PermutationOf : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PermutationOf, VisitsEveryElementOnceAndHasAnInverse) {
  const std::uint64_t n = GetParam();
  const Permutation order = permutation(n);
  std::vector<bool> seen(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t image = order(i);
    ASSERT_LT(image, n);
    ASSERT_FALSE(seen[image]) << "image " << image << " comes twice";
    seen[image] = true;
    ASSERT_EQ(order.inverse(image), i);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PermutationOf,
                         testing::Values(1, 2, 3, 4, 5, 10, 16, 17, 1000, 60000, 65536, 65537, 1000000));

TEST(Permutation, DiffersBetweenSeedsAndEpochs) {
  const std::uint64_t n = 10000;
  const Permutation a = permutation(n), b = permutation(n, 1, 1), c = permutation(n, 2, 0);
  int same_ab = 0, same_ac = 0, fixed = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    same_ab += a(i) == b(i);
    same_ac += a(i) == c(i);
    fixed += a(i) == i;
  }
  // Agreements of two random permutations are Poisson(1): ten or more with probability 1e-7.
  EXPECT_LT(same_ab, 10);
  EXPECT_LT(same_ac, 10);
  EXPECT_LT(fixed, 10);
}

TEST(Permutation, IsTheSameForTheSameKey) {
  const Permutation a = permutation(777), b = permutation(777);
  for (std::uint64_t i = 0; i < 777; ++i) ASSERT_EQ(a(i), b(i));
}

TEST(Permutation, KeepsItsGoldenValues) {
  // Computed by a second implementation (Python integers) from the definition in the header.
  // data.order=full-v1 names this very mapping: a change here changes every run, and needs a new name.
  const Permutation order = permutation(60000, 42, 3);
  const std::vector<std::uint64_t> expected = {17593, 42612, 50617, 49772, 56979, 12858, 17780, 31323};
  for (std::uint64_t i = 0; i < expected.size(); ++i) EXPECT_EQ(order(i), expected[i]) << i;
}

TEST(Permutation, SeeksAtOnceInHugeRanges) {
  for (const int bits : {40, 63}) {
    const std::uint64_t n = (std::uint64_t{1} << bits) + 12345;
    const Permutation order = permutation(n);
    for (const std::uint64_t i : {std::uint64_t{0}, std::uint64_t{1}, n / 2, n - 1}) {
      ASSERT_LT(order(i), n);
      EXPECT_EQ(order.inverse(order(i)), i);
    }
  }
  const Permutation whole = permutation(~std::uint64_t{0});
  EXPECT_EQ(whole.inverse(whole(123)), 123u);
}

double chi_squared(const std::map<std::uint64_t, int>& counts, double expected, std::size_t cells) {
  double sum = (static_cast<double>(cells) - static_cast<double>(counts.size())) * expected;  // cells never hit
  for (const auto& [cell, count] : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(Permutation, DrawsAllSixOrdersOfThreeEquallyOften) {
  std::map<std::uint64_t, int> counts;
  const int draws = 60000;
  for (int seed = 0; seed < draws; ++seed) {
    const Permutation order = permutation(3, static_cast<std::uint64_t>(seed));
    ++counts[order(0) * 9 + order(1) * 3 + order(2)];
  }
  EXPECT_LT(chi_squared(counts, draws / 6.0, 6), 30.9);  // 5 degrees of freedom: probability 1e-5
}

TEST(Permutation, SendsEveryPositionEverywhereEquallyOften) {
  std::map<std::uint64_t, int> counts;
  const int draws = 20000;
  for (int seed = 0; seed < draws; ++seed) {
    const Permutation order = permutation(10, static_cast<std::uint64_t>(seed));
    for (std::uint64_t i = 0; i < 10; ++i) ++counts[i * 10 + order(i)];
  }
  // A doubly stochastic table of 10 x 10: 81 degrees of freedom, scaled by 10 / 9. 146 is exceeded once in 1e5.
  EXPECT_LT(chi_squared(counts, draws / 10.0, 100) * 0.9, 146);
}

TEST(Permutation, LeavesNoTraceOfNeighbourhood) {
  // Distances of the images of neighbours are triangular on [0, n): mean n / 3, variance n^2 / 18.
  const std::uint64_t n = 60000;
  const Permutation order = permutation(n);
  double sum = 0, products = 0;
  for (std::uint64_t i = 0; i + 1 < n; ++i) {
    const double a = static_cast<double>(order(i)), b = static_cast<double>(order(i + 1));
    sum += std::abs(a - b);
    products += (a / n - 0.5) * (b / n - 0.5) * 12;
  }
  EXPECT_NEAR(sum / n, n / 3.0, 8 * n / std::sqrt(18.0 * n));
  EXPECT_NEAR(products / n, 0, 5 / std::sqrt(n));
}

TEST(Permutation, SpreadsEveryStretchOverAllClasses) {
  // Stored by class, 6000 of each of 10: every batch of 1000 holds about 100 of each.
  const Permutation order = permutation(60000);
  double worst = 0;
  for (std::uint64_t batch = 0; batch < 60; ++batch) {
    std::map<std::uint64_t, int> counts;
    for (std::uint64_t i = 0; i < 1000; ++i) ++counts[order(batch * 1000 + i) / 6000];
    worst = std::max(worst, chi_squared(counts, 100, 10));
  }
  EXPECT_LT(worst, 43);  // 9 degrees of freedom, 60 batches: probability 1e-4
}

TEST(Permutation, RejectsNoElements) { EXPECT_THROW(permutation(0), UsageError); }

}  // namespace
}  // namespace convoy
