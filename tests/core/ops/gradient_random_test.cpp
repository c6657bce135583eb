// Convolutions and poolings with attributes drawn at random: combinations that no table lists. A failure prints
// the seed, which draws the same case again.
#include <gtest/gtest.h>

#include "core/ops/window.h"
#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "support/gradient_check.h"

namespace convoy::test {
namespace {

/// Draws one small number after the other.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : key_(seed, "random attributes") {}
  std::int64_t from(std::int64_t least, std::int64_t most) {
    return least + key_.below(draws_++, static_cast<std::uint64_t>(most - least + 1));
  }

 private:
  RandomKey key_;
  std::uint64_t draws_ = 0;
};

Shape shape_of(int axes, std::int64_t n, const PerAxis& extents, std::int64_t channels) {
  std::vector<std::int64_t> all{n};
  all.insert(all.end(), extents.begin(), extents.begin() + axes);
  all.push_back(channels);
  return Shape(all);
}

struct ConvCase {
  ConvAttributes attributes;
  Shape x, filters;
};

ConvCase draw_conv(std::uint64_t seed) {
  Dice dice(seed);
  ConvAttributes a{.axes = static_cast<int>(dice.from(1, 3)),
                   .pad_mode = static_cast<PadMode>(dice.from(0, 3))};
  a.groups = dice.from(1, 3);
  a.channels = a.groups * dice.from(1, 2);
  a.bias = dice.from(0, 1) == 1;
  const std::int64_t per_group = dice.from(1, 2), n = dice.from(1, 2);
  PerAxis extents{1, 1, 1};
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(a.axes); ++axis) {
    extents[axis] = dice.from(1, a.axes == 3 ? 4 : 6);
    a.kernel[axis] = dice.from(1, 3);
    a.stride[axis] = dice.from(1, 3);
    a.dilation[axis] = dice.from(1, 2);
    a.pad_low[axis] = dice.from(0, 2);
    a.pad_high[axis] = dice.from(0, 2);
  }
  return {a, shape_of(a.axes, n, extents, a.groups * per_group),
          shape_of(a.axes, a.channels, a.kernel, per_group)};
}

PoolAttributes draw_pool(std::uint64_t seed) {
  Dice dice(seed);
  PoolAttributes a{.kind = static_cast<PoolKind>(dice.from(0, 2)), .axes = static_cast<int>(dice.from(1, 3))};
  a.ceil = dice.from(0, 1) == 1;
  a.count_padding = dice.from(0, 1) == 1;
  const std::int64_t n = dice.from(1, 2), channels = dice.from(1, 3);
  PerAxis extents{1, 1, 1};
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(a.axes); ++axis) {
    extents[axis] = dice.from(1, 6);
    a.kernel[axis] = dice.from(1, 4);
    a.stride[axis] = dice.from(1, 4);
    a.pad_low[axis] = dice.from(0, a.kernel[axis] - 1);
    a.pad_high[axis] = dice.from(0, a.kernel[axis] - 1);
  }
  a.input = shape_of(a.axes, n, extents, channels);
  return a;
}

/// Whether the drawn attributes fit; those that do not are for infer's tests.
template <typename Attributes>
bool fits(const Attributes& a, const Shape& x) {
  try {
    window_of(a, x);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

constexpr std::uint64_t kDraws = 150;

TEST(ConvGradient, AgreesForRandomAttributes) {
  int checked = 0;
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    const ConvCase c = draw_conv(seed);
    if (!fits(c.attributes, c.x)) continue;
    ++checked;
    SCOPED_TRACE(testing::Message() << "attributes of seed " << seed << ", x " << c.x.str());
    // Dilated kernels on tiny images may see nothing but zero padding: then all gradients are zero.
    expect_gradients(
        [&](Graph& graph) {
          std::vector<Value> inputs{graph.add_parameter("x", c.x, {}),
                                    graph.add_parameter("filters", c.filters, {})};
          if (c.attributes.bias) inputs.push_back(graph.add_parameter("bias", {c.attributes.channels}, {}));
          return graph.add(OpKind::conv, c.attributes, inputs);
        },
        {.may_vanish = true});
  }
  EXPECT_GT(checked, 50);
}

TEST(PoolGradient, AgreesForRandomAttributes) {
  int checked = 0;
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    PoolAttributes a = draw_pool(seed);
    if (!fits(a, a.input)) continue;
    ++checked;
    SCOPED_TRACE(testing::Message() << "attributes of seed " << seed << ", x " << a.input.str());
    const Shape x = std::exchange(a.input, Shape{});
    expect_gradients(
        [&](Graph& graph) { return graph.add(OpKind::pool, a, {graph.add_parameter("x", x, {})}); },
        {.distinct = true});
  }
  EXPECT_GT(checked, 50);
}

}  // namespace
}  // namespace convoy::test
