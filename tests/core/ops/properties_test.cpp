// What must hold for any values: covariance, adjointness, routing, and ops that equal other ops. On the
// reference backend, bit for bit where both sides add in one order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/ops/window.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> left = values_of(a), right = values_of(b);
  return std::inner_product(left.begin(), left.end(), right.begin(), 0.0);
}

/// x [1, h, w, c] with its content moved by (dy, dx), zeros coming in.
Tensor shifted(const Tensor& x, std::int64_t down, std::int64_t right) {
  Tensor moved(x.shape(), DType::f64);
  const std::int64_t H = x.shape()[1], W = x.shape()[2], C = x.shape()[3];
  for (std::int64_t h = down; h < H; ++h)
    for (std::int64_t w = right; w < W; ++w)
      for (std::int64_t c = 0; c < C; ++c)
        moved.values<double>()[static_cast<std::size_t>((h * W + w) * C + c)] =
            x.values<double>()[static_cast<std::size_t>(((h - down) * W + w - right) * C + c)];
  return moved;
}

TEST(Conv, MovesItsOutputWithItsInputBitForBit) {
  for (std::int64_t stride : {1, 2}) {
    const ConvAttributes a{.axes = 2,
                           .channels = 3,
                           .kernel = {3, 3},
                           .stride = {stride, stride},
                           .pad_low = {1, 1},
                           .pad_high = {1, 1},
                           .bias = false};
    const Tensor x = random_tensor({1, 11, 14, 2}, 1), filters = random_tensor({3, 3, 3, 2}, 2);
    const Tensor y = run_op(OpKind::conv, a, {x, filters})[0];
    const Tensor moved = run_op(OpKind::conv, a, {shifted(x, stride, 2 * stride), filters})[0];
    const std::int64_t H = y.shape()[1], W = y.shape()[2], O = y.shape()[3];
    int compared = 0;
    // Interior: neither window touches the border, nor pixels that the shift lost or brought in.
    for (std::int64_t h = 1; h + 2 < H; ++h)
      for (std::int64_t w = 1; w + 3 < W; ++w)
        for (std::int64_t o = 0; o < O; ++o, ++compared)
          EXPECT_EQ(y.values<double>()[static_cast<std::size_t>((h * W + w) * O + o)],
                    moved.values<double>()[static_cast<std::size_t>(((h + 1) * W + w + 2) * O + o)])
              << "stride " << stride << ", pixel " << h << " " << w;
    EXPECT_GE(compared, 3);
  }
}

TEST(Conv, GivesPixelsThatItsStrideSkipsExactlyZeroGradient) {
  const ConvAttributes a{.axes = 2, .channels = 2, .kernel = {2, 1}, .stride = {3, 2}, .bias = false};
  const Tensor filters = random_tensor({2, 2, 1, 1}, 3);
  const Tensor dx = run_op(OpKind::conv_backward_data, ConvBackwardAttributes{a, {1, 8, 5, 1}},
                           {random_tensor({1, 3, 3, 2}, 4), filters})[0];
  for (std::int64_t h = 0; h < 8; ++h)
    for (std::int64_t w = 0; w < 5; ++w) {
      const double value = dx.values<double>()[static_cast<std::size_t>(h * 5 + w)];
      if (h % 3 == 2 || w % 2 == 1)
        EXPECT_EQ(value, 0) << h << " " << w;
      else
        EXPECT_NE(value, 0) << h << " " << w;
    }
}

TEST(Conv, OfOneByOneIsADenseLayerPerPixelBitForBit) {
  const Tensor x = random_tensor({2, 3, 4, 5}, 5), filters = random_tensor({6, 1, 1, 5}, 6);
  const Tensor bias = random_tensor({6}, 7);
  const ConvAttributes conv{.axes = 2, .channels = 6};
  const Tensor pixels = run_op(OpKind::conv, conv, {x, filters, bias})[0];
  const Tensor rows = run_op(OpKind::dense, DenseAttributes{.units = 6},
                             {x.reshaped({24, 5}), filters.reshaped({6, 5}), bias})[0];
  EXPECT_EQ(values_of(pixels), values_of(rows));
}

TEST(Conv, OfTheWholeImageIsADenseLayerBitForBit) {
  const Tensor x = random_tensor({2, 3, 4, 5}, 8), weights = random_tensor({7, 60}, 9),
               bias = random_tensor({7}, 10);
  const ConvAttributes conv{.axes = 2, .channels = 7, .kernel = {3, 4}};
  const Tensor image = run_op(OpKind::conv, conv, {x, weights.reshaped({7, 3, 4, 5}), bias})[0];
  const Tensor row =
      run_op(OpKind::dense, DenseAttributes{.units = 7}, {x.reshaped({2, 60}), weights, bias})[0];
  EXPECT_EQ(values_of(image), values_of(row));
}

TEST(Conv, InGroupsIsOneConvolutionPerGroup) {
  const Tensor x = random_tensor({2, 6, 4}, 11), filters = random_tensor({6, 3, 2}, 12);
  const ConvAttributes grouped{.axes = 1, .channels = 6, .kernel = {3}, .groups = 2, .bias = false};
  const ConvAttributes alone{.axes = 1, .channels = 3, .kernel = {3}, .bias = false};
  std::vector<Tensor> parts;
  for (std::int64_t group = 0; group < 2; ++group)
    parts.push_back(run_op(OpKind::conv, alone,
                           {run_op(OpKind::slice, ChannelsAttributes{2 * group, 2}, {x})[0],
                            filters.slice(3 * group, 3 * group + 3)})[0]);
  EXPECT_EQ(values_of(run_op(OpKind::conv, grouped, {x, filters})[0]),
            values_of(run_op(OpKind::concat, {}, parts)[0]));
}

TEST(Conv, AndItsBackwardDataAreAdjointForEveryPaddingMode) {
  for (PadMode mode : {PadMode::zero, PadMode::reflect, PadMode::symmetric, PadMode::replicate}) {
    const ConvAttributes a{.axes = 2,
                           .channels = 4,
                           .kernel = {3, 2},
                           .stride = {2, 1},
                           .dilation = {1, 2},
                           .groups = 2,
                           .pad_mode = mode,
                           .pad_low = {2, 1},
                           .pad_high = {1, 2},
                           .bias = false};
    const Tensor x = random_tensor({2, 6, 5, 2}, 13), filters = random_tensor({4, 3, 2, 1}, 14);
    const Tensor y = run_op(OpKind::conv, a, {x, filters})[0];
    const Tensor u = random_tensor(y.shape(), 15);
    const Tensor back =
        run_op(OpKind::conv_backward_data, ConvBackwardAttributes{a, x.shape()}, {u, filters})[0];
    EXPECT_NEAR(dot(y, u), dot(x, back), 1e-12 * std::abs(dot(y, y)));
  }
}

TEST(Pool, RoutesAWindowsGradientToExactlyOneElement) {
  for (PoolKind kind : {PoolKind::max, PoolKind::min}) {
    PoolAttributes a{.kind = kind,
                     .axes = 2,
                     .kernel = {3, 3},
                     .stride = {2, 2},
                     .pad_low = {1, 1},
                     .pad_high = {1, 1},
                     .input = {1, 6, 7, 2}};
    const std::vector<Tensor> forward = run_op(OpKind::pool, a, {random_tensor(a.input, 16)});
    const std::int64_t windows = forward[0].elements();
    for (std::int64_t window = 0; window < windows; ++window) {
      Tensor dy(forward[0].shape(), DType::f64);
      dy.values<double>()[static_cast<std::size_t>(window)] = 1.5;
      const std::vector<double> dx = values_of(run_op(OpKind::pool_backward, a, {dy, forward[1]})[0]);
      EXPECT_EQ(std::count(dx.begin(), dx.end(), 1.5), 1) << "window " << window;
      EXPECT_EQ(std::count(dx.begin(), dx.end(), 0.0), static_cast<std::ptrdiff_t>(dx.size()) - 1);
    }
  }
}

TEST(Pool, ChoosesTheFirstInScanOrderAmongEquals) {
  PoolAttributes a{.kind = PoolKind::max, .axes = 2, .kernel = {2, 2}, .stride = {2, 2}, .input = {1, 2, 4, 1}};
  const Tensor x = tensor_of(a.input, {1, 5, 7, 7, 5, 5, 7, 7});
  const std::vector<Tensor> forward = run_op(OpKind::pool, a, {x});
  EXPECT_EQ(forward[1].values<std::uint8_t>()[0], 1);
  EXPECT_EQ(forward[1].values<std::uint8_t>()[1], 0);
  const Tensor dx = run_op(OpKind::pool_backward, a, {tensor_of({1, 1, 2, 1}, {2, 3}), forward[1]})[0];
  EXPECT_EQ(values_of(dx), (std::vector<double>{0, 2, 3, 0, 0, 0, 0, 0}));
}

TEST(Pool, AverageSpreadsTheWholeGradient) {
  PoolAttributes a{.kind = PoolKind::average,
                   .axes = 2,
                   .kernel = {3, 2},
                   .stride = {2, 2},
                   .pad_low = {1, 0},
                   .ceil = true,
                   .input = {2, 5, 5, 3}};
  const Tensor y = run_op(OpKind::pool, a, {random_tensor(a.input, 17)})[0];
  const Tensor dy = random_tensor(y.shape(), 18);
  const std::vector<double> given = values_of(dy),
                            spread = values_of(run_op(OpKind::pool_backward, a, {dy})[0]);
  EXPECT_NEAR(std::accumulate(given.begin(), given.end(), 0.0),
              std::accumulate(spread.begin(), spread.end(), 0.0), 1e-12);
}

TEST(BatchNorm, MakesEveryChannelOfMeanBetaAndDeviationGamma) {
  const Tensor x = random_tensor({4, 5, 3}, 19);
  const std::vector<Tensor> outputs = run_op(OpKind::batch_norm, BatchNormAttributes{.epsilon = 1e-12},
                                             {x, tensor_of({3}, {1, 2, 3}), tensor_of({3}, {0, -1, 5})});
  for (int c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    for (int m = 0; m < 20; ++m) sum += values_of(outputs[0])[static_cast<std::size_t>(3 * m + c)];
    for (int m = 0; m < 20; ++m)
      squares += std::pow(values_of(outputs[0])[static_cast<std::size_t>(3 * m + c)] - sum / 20, 2);
    EXPECT_NEAR(sum / 20, (std::vector<double>{0, -1, 5})[static_cast<std::size_t>(c)], 1e-12);
    EXPECT_NEAR(std::sqrt(squares / 20), c + 1, 1e-9);
  }
}

TEST(BatchNorm, FusedWithReluEqualsTheTwoOps) {
  const Tensor x = random_tensor({6, 3}, 20), gamma = random_tensor({3}, 21), beta = random_tensor({3}, 22);
  const Tensor dy = random_tensor({6, 3}, 23);
  const ActivationAttributes relu{ActivationKind::relu};
  const BatchNormAttributes alone{}, fused{.activation = ActivationKind::relu};
  const std::vector<Tensor> forward = run_op(OpKind::batch_norm, alone, {x, gamma, beta});
  const Tensor y = run_op(OpKind::activation, relu, {forward[0]})[0];
  EXPECT_EQ(values_of(run_op(OpKind::batch_norm, fused, {x, gamma, beta})[0]), values_of(y));
  const Tensor through = run_op(OpKind::activation_backward, relu, {y, dy})[0];
  const auto expected = run_op(OpKind::batch_norm_backward, alone, {x, gamma, forward[1], forward[2], through});
  const auto found = run_op(OpKind::batch_norm_backward, fused, {x, gamma, forward[1], forward[2], dy, y});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(values_of(found[i]), values_of(expected[i]));
}

TEST(Fusion, OfReluIntoConvAndDenseEqualsTheTwoOps) {
  const ActivationAttributes relu{ActivationKind::relu};
  const Tensor x = random_tensor({2, 5, 3}, 24), filters = random_tensor({4, 3, 3}, 25),
               bias = random_tensor({4}, 26);
  ConvAttributes conv{.axes = 1, .channels = 4, .kernel = {3}};
  const Tensor alone = run_op(OpKind::conv, conv, {x, filters, bias})[0];
  conv.activation = ActivationKind::relu;
  EXPECT_EQ(values_of(run_op(OpKind::conv, conv, {x, filters, bias})[0]),
            values_of(run_op(OpKind::activation, relu, {alone})[0]));
  DenseAttributes dense{.units = 4};
  const Tensor rows = x.reshaped({10, 3}), weights = random_tensor({4, 3}, 27);
  const Tensor linear = run_op(OpKind::dense, dense, {rows, weights, bias})[0];
  dense.activation = ActivationKind::relu;
  EXPECT_EQ(values_of(run_op(OpKind::dense, dense, {rows, weights, bias})[0]),
            values_of(run_op(OpKind::activation, relu, {linear})[0]));
}

TEST(Concat, OfAllSlicesIsTheInput) {
  const Tensor x = random_tensor({2, 3, 6}, 28);
  std::vector<Tensor> parts;
  for (const ChannelsAttributes& part :
       {ChannelsAttributes{0, 1}, ChannelsAttributes{1, 3}, ChannelsAttributes{4, 2}})
    parts.push_back(run_op(OpKind::slice, part, {x})[0]);
  EXPECT_EQ(values_of(run_op(OpKind::concat, {}, parts)[0]), values_of(x));
}

TEST(Dropout, DependsOnTheSampleAndNotOnItsPlace) {
  const DropoutAttributes a{.rate = 0.5, .seed = 3, .name = "fc6"};
  const Tensor ones = tensor_of({2, 40}, std::vector<double>(80, 1.0));
  const std::vector<double> pair =
      values_of(run_op(OpKind::dropout, a, {ones, keys_of({{1, 10}, {1, 11}})})[0]);
  const std::vector<double> swapped =
      values_of(run_op(OpKind::dropout, a, {ones, keys_of({{1, 11}, {1, 10}})})[0]);
  EXPECT_TRUE(std::equal(pair.begin(), pair.begin() + 40, swapped.begin() + 40));
  EXPECT_TRUE(std::equal(pair.begin() + 40, pair.end(), swapped.begin()));
  EXPECT_FALSE(std::equal(pair.begin(), pair.begin() + 40, pair.begin() + 40));
}

TEST(Dropout, DrawsOtherElementsForAnotherEpochLayerAndSeed) {
  const Tensor ones = tensor_of({1, 64}, std::vector<double>(64, 1.0));
  const auto mask = [&](const DropoutAttributes& a, std::uint64_t epoch) {
    return values_of(run_op(OpKind::dropout, a, {ones, keys_of({{epoch, 5}})})[0]);
  };
  const DropoutAttributes a{.rate = 0.5, .seed = 3, .name = "fc6"};
  EXPECT_EQ(mask(a, 1), mask(a, 1));
  EXPECT_NE(mask(a, 1), mask(a, 2));
  EXPECT_NE(mask(a, 1), mask({.rate = 0.5, .seed = 3, .name = "fc7"}, 1));
  EXPECT_NE(mask(a, 1), mask({.rate = 0.5, .seed = 4, .name = "fc6"}, 1));
}

TEST(Dropout, KeepsTheExpectation) {
  const std::int64_t count = 40000;
  const Tensor ones = tensor_of({1, count}, std::vector<double>(static_cast<std::size_t>(count), 1.0));
  for (double rate : {0.2, 0.5, 0.7}) {
    const std::vector<double> y =
        values_of(run_op(OpKind::dropout, DropoutAttributes{rate, 1, "d"}, {ones, keys_of({{0, 0}})})[0]);
    const double dropped =
        static_cast<double>(std::count(y.begin(), y.end(), 0.0)) / static_cast<double>(count);
    EXPECT_NEAR(dropped, rate, 5 * std::sqrt(rate * (1 - rate) / static_cast<double>(count)));
    EXPECT_EQ(*std::max_element(y.begin(), y.end()), 1 / (1 - rate));
  }
}

}  // namespace
}  // namespace convoy::test
