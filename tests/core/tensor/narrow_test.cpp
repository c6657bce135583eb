// bfloat16 and binary16: every value there and back, and rounding against the nearest neighbour found by search.
#include "core/tensor/narrow.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random/philox.h"

namespace convoy {
namespace {

template <typename T>
bool is_nan(T x) {
  return std::isnan(to_float(x));
}

template <typename T>
class Narrow : public testing::Test {};
using Types = testing::Types<Bf16, F16>;
TYPED_TEST_SUITE(Narrow, Types);

TYPED_TEST(Narrow, EveryValueComesBack) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const TypeParam x{static_cast<std::uint16_t>(bits)};
    const TypeParam back = from_float<TypeParam>(to_float(x));
    if (is_nan(x))
      ASSERT_TRUE(is_nan(back)) << bits;
    else
      ASSERT_EQ(back.bits, x.bits) << bits;
  }
}

/// The neighbours of x >= 0 in T are found from the bits, whose order is that of the values.
TYPED_TEST(Narrow, RoundsToTheNearestAndTiesToEven) {
  const RandomKey key(7, "narrow");
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float low = to_float(TypeParam{static_cast<std::uint16_t>(bits)});
    const float high = to_float(TypeParam{static_cast<std::uint16_t>(bits + 1)});
    if (!std::isfinite(high)) continue;
    const double middle = (static_cast<double>(low) + static_cast<double>(high)) / 2;
    const auto expected = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(from_float<TypeParam>(static_cast<float>(middle)).bits, expected) << bits;
    ASSERT_EQ(from_float<TypeParam>(-static_cast<float>(middle)).bits, expected | 0x8000) << bits;
    const float below = std::nextafter(static_cast<float>(middle), low), above = std::nextafter(static_cast<float>(middle), high);
    ASSERT_EQ(from_float<TypeParam>(below).bits, bits);
    ASSERT_EQ(from_float<TypeParam>(above).bits, bits + 1);
    const float inside = low + key.uniform(bits) * (high - low);
    const bool nearer_high = static_cast<double>(inside) > middle;
    if (static_cast<double>(inside) != middle) {
      ASSERT_EQ(from_float<TypeParam>(inside).bits, nearer_high ? bits + 1 : bits);
    }
  }
}

TEST(NarrowEnds, OverflowToInfinityAndKeepNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_f16(65519.99F).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0F).bits, 0x7c00);
  EXPECT_EQ(to_f16(-infinity).bits, 0xfc00);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_TRUE(is_nan(to_f16(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(is_nan(to_bf16(float_of_bits(0x7f800001))));  // its low half alone says that it is none
  EXPECT_EQ(to_f16(2.98e-8F).bits, 0);                      // below half of the smallest
  EXPECT_EQ(to_f16(5.9604645e-8F).bits, 1);
}

}  // namespace
}  // namespace convoy
