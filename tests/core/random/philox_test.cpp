#include "core/random/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace convoy {
namespace {

// Random123 1.x, tests/kat_vectors, rows "philox4x32 10".
TEST(Philox, MatchesTheKnownAnswerForZeros) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Philox, MatchesTheKnownAnswerForOnes) {
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Philox, MatchesTheKnownAnswerForTheDigitsOfPi) {
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(NameKey, IsTheFirstEightBytesOfTheDigestLittleEndian) {
  // SHA-256("abc") = ba7816bf 8f01cfea ... (FIPS 180-4, example).
  EXPECT_EQ(name_key("abc"), 0xeacf018fbf1678baULL);
}

TEST(RandomKey, FollowsItsWrittenDerivation) {
  const auto lo = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto hi = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const std::uint64_t seed = 0x0123456789abcdef, purpose = name_key("order"), index = 0xfedcba9876543210;
  const PhiloxBlock root = philox4x32({lo(purpose), hi(purpose), 2, 1}, {lo(seed), hi(seed)});
  const RandomKey key(seed, "order");
  EXPECT_EQ(key.raw(), root[0] | std::uint64_t{root[1]} << 32);
  const PhiloxBlock below = philox4x32({lo(index), hi(index), 1, 1}, {root[0], root[1]});
  EXPECT_EQ(key.child(index).raw(), below[0] | std::uint64_t{below[1]} << 32);
  EXPECT_EQ(key.block(index), philox4x32({lo(index), hi(index), 0, 1}, {root[0], root[1]}));
}

TEST(RandomKey, WordsAreTheWordsOfTheBlocks) {
  const RandomKey key(7, "test");
  for (std::uint64_t e = 0; e < 64; ++e) EXPECT_EQ(key.word(e), key.block(e / 4)[e % 4]);
  for (std::uint64_t e = 0; e < 64; ++e) {
    EXPECT_EQ(key.uniform(e), static_cast<float>(key.word(e) >> 8) / 16777216.0f);
    const std::uint64_t bits = std::uint64_t{key.word(2 * e)} << 32 | key.word(2 * e + 1);
    EXPECT_EQ(key.uniform_double(e), std::ldexp(static_cast<double>(bits >> 11), -53));
    EXPECT_EQ(key.below(e, 1000), (key.word(e) * 1000ULL) >> 32);
  }
}

TEST(RandomKey, NormalIsBoxMullerOfTwoUniforms) {
  const RandomKey key(7, "test");
  for (std::uint64_t e = 0; e < 100; ++e) {
    const double a = key.uniform_double(2 * e), b = key.uniform_double(2 * e + 1);
    EXPECT_NEAR(key.normal(e), std::sqrt(-2 * std::log(1 - a)) * std::cos(2 * M_PI * b), 1e-12);
  }
}

// Bounds below are five standard deviations of each sample moment.
TEST(RandomKey, UniformsHaveTheMomentsOfTheUniformDistribution) {
  const RandomKey key(1, "moments");
  const int n = 200000;
  double sum = 0, squares = 0, sum_float = 0;
  for (int i = 0; i < n; ++i) {
    const double u = key.uniform_double(static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
    sum_float += key.uniform(static_cast<std::uint64_t>(i));
  }
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(sum_float / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / n));
}

TEST(RandomKey, NormalsHaveTheMomentsOfTheNormalDistribution) {
  const RandomKey key(2, "moments");
  const int n = 200000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (int i = 0; i < n; ++i) {
    const double x = key.normal(static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(x));
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
    m4 += x * x * x * x;
  }
  EXPECT_NEAR(m1 / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(m2 / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(m3 / n, 0, 5 * std::sqrt(15.0 / n));
  EXPECT_NEAR(m4 / n, 3, 5 * std::sqrt(96.0 / n));
}

TEST(RandomKey, BelowReachesEveryValueEquallyOften) {
  const RandomKey key(3, "below");
  const int n = 70000;
  std::array<int, 7> counts{};
  for (int i = 0; i < n; ++i) ++counts.at(key.below(static_cast<std::uint64_t>(i), 7));
  double chi_squared = 0;
  for (const int count : counts) chi_squared += (count - n / 7.0) * (count - n / 7.0) / (n / 7.0);
  EXPECT_LT(chi_squared, 33.1);  // 6 degrees of freedom: exceeded with probability 1e-5
  EXPECT_EQ(key.below(0, std::uint64_t{1} << 32), key.word(0));
  EXPECT_EQ(key.below(0, 1), 0u);
}

double correlation(RandomKey a, RandomKey b, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const auto e = static_cast<std::uint64_t>(i);
    sum += (a.uniform_double(e) - 0.5) * (b.uniform_double(e) - 0.5) * 12;
  }
  return sum / n;
}

TEST(RandomKey, NeighbouringKeysAreUncorrelated) {
  const int n = 50000;
  const double bound = 5 / std::sqrt(n);
  const RandomKey key(4, "children");
  EXPECT_NEAR(correlation(key.child(0), key.child(1), n), 0, bound);
  EXPECT_NEAR(correlation(key, key.child(0), n), 0, bound);
  EXPECT_NEAR(correlation(key.child(5).child(0), key.child(0).child(5), n), 0, bound);
  EXPECT_NEAR(correlation(key, RandomKey(5, "children"), n), 0, bound);
  EXPECT_NEAR(correlation(key, RandomKey(4, "other"), n), 0, bound);
}

TEST(RandomKey, ChildrenOfManyIndicesHaveDistinctKeys) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    for (std::uint64_t a = 0; a < 100; ++a)
      for (std::uint64_t b = 0; b < 10; ++b) keys.insert(RandomKey(seed, "x").child(a).child(b).raw());
  EXPECT_EQ(keys.size(), 10000u);
}

}  // namespace
}  // namespace convoy
