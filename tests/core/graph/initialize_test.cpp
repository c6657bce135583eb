#include "core/graph/initialize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/random/philox.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

using Kind = Initializer::Kind;

ValueInfo parameter(Kind kind, double value = 0, std::int64_t fan_in = 1, std::int64_t fan_out = 1,
                    DType dtype = DType::f64, std::string name = "conv1/filters", Shape shape = {100, 30, 30}) {
  ValueInfo info;
  info.name = std::move(name);
  info.desc = {shape, dtype};
  info.role = Role::parameter;
  info.parameter = {{kind, value}, fan_in, fan_out, true};
  return info;
}

struct Moments {
  double mean = 0, deviation = 0, smallest = 0, largest = 0;
};

Moments moments(const Tensor& tensor) {
  const auto values = tensor.values<double>();
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const double x : values) m.mean += x / n;
  for (const double x : values) m.deviation += (x - m.mean) * (x - m.mean) / n;
  m.deviation = std::sqrt(m.deviation);
  m.smallest = *std::min_element(values.begin(), values.end());
  m.largest = *std::max_element(values.begin(), values.end());
  return m;
}

// 90,000 draws: five standard errors of the mean are sigma / 60; of the deviation at most sigma / 85.
void expect_normal(const Tensor& tensor, double sigma) {
  const Moments m = moments(tensor);
  EXPECT_NEAR(m.mean, 0, sigma / 60);
  EXPECT_NEAR(m.deviation, sigma, sigma / 85);
  EXPECT_GT(m.largest, 3.5 * sigma);  // tails, unlike a uniform's
  EXPECT_LT(m.smallest, -3.5 * sigma);
}

void expect_uniform(const Tensor& tensor, double bound) {
  const Moments m = moments(tensor);
  EXPECT_NEAR(m.mean, 0, bound / std::sqrt(3) / 60);
  EXPECT_NEAR(m.deviation, bound / std::sqrt(3), bound / std::sqrt(3) / 85);
  EXPECT_GE(m.smallest, -bound);
  EXPECT_LT(m.largest, bound);
  EXPECT_GT(m.largest, 0.999 * bound);
}

TEST(Initialize, DrawsXavierAndHeOfEitherFan) {
  expect_normal(initial_value(parameter(Kind::xavier_normal, 0, 30, 70), 1), std::sqrt(2.0 / 100));
  expect_normal(initial_value(parameter(Kind::he_normal_fan_out, 0, 30, 70), 1), std::sqrt(2.0 / 70));
  expect_uniform(initial_value(parameter(Kind::he_uniform, 0, 30), 1), std::sqrt(6.0 / 30));
  for (const Kind kind : {Kind::xavier_normal, Kind::he_uniform}) EXPECT_THROW(initial_value(parameter(kind, 0, 0, 7), 1), UsageError);
  EXPECT_THROW(initial_value(parameter(Kind::he_normal_fan_out, 0, 7, 0), 1), UsageError);
}

TEST(Initialize, MakesRowsOrColumnsOrthonormal) {
  for (const auto& [rows, columns] : {std::pair{12, 45}, {45, 12}, {21, 21}}) {
    const Tensor q = initial_value(parameter(Kind::orthogonal, 2, 1, 1, DType::f64, "w", {rows, columns / 3, 3}), 5);
    const auto values = q.values<double>();
    const bool wide = rows <= columns;
    const int count = wide ? rows : columns, length = wide ? columns : rows;
    for (int a = 0; a < count; ++a)
      for (int b = 0; b < count; ++b) {
        double dot = 0;
        for (int i = 0; i < length; ++i)
          dot += values[static_cast<std::size_t>(wide ? a * columns + i : i * columns + a)] *
                 values[static_cast<std::size_t>(wide ? b * columns + i : i * columns + b)];
        EXPECT_NEAR(dot, a == b ? 4 : 0, 1e-12) << rows << " x " << columns << ": " << a << ", " << b;
      }
  }
}

TEST(InitialValue, ConstantIsTheValue) {
  const Moments m = moments(initial_value(parameter(Kind::constant, 0.25), 1));
  EXPECT_EQ(m.smallest, 0.25);
  EXPECT_EQ(m.largest, 0.25);
}

TEST(InitialValue, GaussianHasTheGivenDeviation) {
  expect_normal(initial_value(parameter(Kind::gaussian, 0.01), 1), 0.01);
}

TEST(InitialValue, HeNormalHasVarianceTwoOverFanIn) {
  expect_normal(initial_value(parameter(Kind::he_normal, 0, 288), 1), std::sqrt(2.0 / 288));
}

TEST(InitialValue, UniformStaysWithinItsBounds) {
  expect_uniform(initial_value(parameter(Kind::uniform, 0.05), 1), 0.05);
}

TEST(InitialValue, FanInUniformIsTheValueOverFanIn) {
  expect_uniform(initial_value(parameter(Kind::fan_in_uniform, 2.4, 25), 1), 2.4 / 25);
}

TEST(InitialValue, XavierUniformIsBoundByBothFans) {
  expect_uniform(initial_value(parameter(Kind::xavier_uniform, 0, 100, 50), 1), std::sqrt(6.0 / 150));
}

TEST(InitialValue, SignsAreHalfPlusAndHalfMinusOne) {
  const Tensor tensor = initial_value(parameter(Kind::signs), 1);
  for (const double x : tensor.values<double>()) ASSERT_TRUE(x == 1 || x == -1);
  EXPECT_NEAR(moments(tensor).mean, 0, 1.0 / 60);
}

TEST(InitialValue, IsDrawnFromTheKeyOfTheName) {
  const Tensor tensor = initial_value(parameter(Kind::gaussian, 2), 9);
  const RandomKey key = RandomKey(9, "init").child(name_key("conv1/filters"));
  for (const std::size_t i : {0u, 1u, 77u, 89999u}) EXPECT_EQ(tensor.values<double>()[i], 2 * key.normal(i));
}

bool same(const Tensor& a, const Tensor& b) { return std::memcmp(a.bytes(), b.bytes(), a.size_bytes()) == 0; }

TEST(InitialValue, DoesNotDependOnTheOrderOfCalls) {
  const ValueInfo a = parameter(Kind::he_normal, 0, 9, 9, DType::f32, "a");
  const ValueInfo b = parameter(Kind::xavier_uniform, 0, 9, 9, DType::f32, "b");
  const Tensor a_first = initial_value(a, 3), b_second = initial_value(b, 3);
  const Tensor b_first = initial_value(b, 3), a_second = initial_value(a, 3);
  EXPECT_TRUE(same(a_first, a_second));
  EXPECT_TRUE(same(b_first, b_second));
}

TEST(InitialValue, DiffersBetweenNamesAndSeeds) {
  const Tensor a = initial_value(parameter(Kind::uniform, 1, 1, 1, DType::f64, "a"), 3);
  EXPECT_FALSE(same(a, initial_value(parameter(Kind::uniform, 1, 1, 1, DType::f64, "b"), 3)));
  EXPECT_FALSE(same(a, initial_value(parameter(Kind::uniform, 1, 1, 1, DType::f64, "a"), 4)));
}

TEST(InitialValue, OfFloatIsTheRoundedDouble) {
  for (const Kind kind : {Kind::constant, Kind::gaussian, Kind::uniform, Kind::he_normal, Kind::fan_in_uniform,
                          Kind::xavier_uniform, Kind::signs}) {
    const Tensor wide = initial_value(parameter(kind, 0.3, 27, 64), 5);
    const Tensor narrow = initial_value(parameter(kind, 0.3, 27, 64, DType::f32), 5);
    for (std::size_t i = 0; i < wide.values<double>().size(); ++i)
      ASSERT_EQ(narrow.values<float>()[i], static_cast<float>(wide.values<double>()[i]));
  }
}

TEST(InitialValue, RejectsWhatHasNone) {
  ValueInfo info = parameter(Kind::constant);
  info.role = Role::activation;
  EXPECT_THROW(initial_value(info, 1), UsageError);
  EXPECT_THROW(initial_value(parameter(Kind::constant, 0, 1, 1, DType::i32), 1), UsageError);
}

TEST(InitialValue, RejectsFansThatAreNotPositive) {
  EXPECT_THROW(initial_value(parameter(Kind::he_normal, 0, 0), 1), UsageError);
  EXPECT_THROW(initial_value(parameter(Kind::fan_in_uniform, 2.4, -1), 1), UsageError);
  EXPECT_THROW(initial_value(parameter(Kind::xavier_uniform, 0, 1, 0), 1), UsageError);
  EXPECT_NO_THROW(initial_value(parameter(Kind::gaussian, 1, 0, 0), 1));
}

}  // namespace
}  // namespace convoy
