#include "core/metrics/top_k.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random/philox.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

TEST(TopK, OrdersTheBestFirst) {
  const std::vector<float> p = {0.1f, 0.5f, 0.05f, 0.3f, 0.05f};
  EXPECT_EQ(top_k(p, 3), (std::vector<int>{1, 3, 0}));
}

TEST(TopK, PrefersTheLowerIndexOfEqualValues) {
  const std::vector<float> p = {0.2f, 0.3f, 0.2f, 0.3f};
  EXPECT_EQ(top_k(p, 4), (std::vector<int>{1, 3, 0, 2}));
  EXPECT_TRUE(in_top_k(p, 1, 1));
  EXPECT_FALSE(in_top_k(p, 3, 1));
  EXPECT_TRUE(in_top_k(p, 0, 3));
  EXPECT_FALSE(in_top_k(p, 2, 3));
}

TEST(TopK, PutsNanBehindEveryNumber) {
  const std::vector<float> p = {std::nanf(""), -1.0f, std::nanf(""), 2.0f};
  EXPECT_EQ(top_k(p, 4), (std::vector<int>{3, 1, 0, 2}));
  EXPECT_FALSE(in_top_k(p, 0, 2));
  EXPECT_TRUE(in_top_k(p, 0, 3));
}

TEST(TopK, ContainsALabelExactlyWhenItIsListed) {
  const RandomKey key(1, "scores");
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    std::vector<float> p(11);
    for (std::size_t i = 0; i < p.size(); ++i)
      p[i] = static_cast<float>(key.child(trial).below(i, 6));  // many ties
    for (int k = 1; k <= 11; ++k) {
      const std::vector<int> best = top_k(p, k);
      for (int label = 0; label < 11; ++label)
        ASSERT_EQ(in_top_k(p, label, k), std::find(best.begin(), best.end(), label) != best.end());
    }
  }
}

TEST(TopK, OfMoreThanAllClassesHoldsEveryLabel) {
  const std::vector<float> p = {0.6f, 0.4f};
  EXPECT_TRUE(in_top_k(p, 1, 5));
}

TEST(TopK, RejectsWhatDoesNotExist) {
  const std::vector<float> p = {0.6f, 0.4f};
  EXPECT_THROW(top_k(p, 0), UsageError);
  EXPECT_THROW(top_k(p, 3), UsageError);
  EXPECT_THROW(in_top_k(p, 2, 1), UsageError);
  EXPECT_THROW(in_top_k(p, -1, 1), UsageError);
  EXPECT_THROW(in_top_k(p, 0, 0), UsageError);
}

}  // namespace
}  // namespace convoy
