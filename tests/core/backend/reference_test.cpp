// The oracle itself against numbers worked out by hand, closed forms and the definitions in
// core/ops/attributes.h.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/optim/scalars.h"
#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

using Values = std::vector<double>;

Values first(OpKind kind, const Attributes& attributes, const std::vector<Tensor>& inputs) {
  return values_of(run_op(kind, attributes, inputs)[0]);
}

TEST(ReferenceConv, CorrelatesWithoutFlippingTheKernel) {
  const ConvAttributes a{.axes = 1, .channels = 1, .kernel = {2}, .bias = false};
  EXPECT_EQ(first(OpKind::conv, a, {tensor_of({1, 3, 1}, {1, 2, 3}), tensor_of({1, 2, 1}, {10, 1})}),
            (Values{12, 23}));
}

TEST(ReferenceConv, MatchesTwoByTwoOnThreeByThreeByHand) {
  const ConvAttributes a{.axes = 2, .channels = 1, .kernel = {2, 2}};
  EXPECT_EQ(first(OpKind::conv, a,
                  {tensor_of({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), tensor_of({1, 2, 2, 1}, {1, 2, 3, 4}),
                   tensor_of({1}, {0.5})}),
            (Values{37.5, 47.5, 67.5, 77.5}));
}

TEST(ReferenceConv, StridesAndDilates) {
  const ConvAttributes a{
      .axes = 1, .channels = 1, .kernel = {2}, .stride = {2}, .dilation = {3}, .bias = false};
  EXPECT_EQ(
      first(OpKind::conv, a, {tensor_of({1, 7, 1}, {1, 2, 3, 4, 5, 6, 7}), tensor_of({1, 2, 1}, {1, 10})}),
      (Values{41, 63}));
}

TEST(ReferenceConv, ShowsThePaddingOfEveryMode) {
  const auto padded = [](PadMode mode) {
    const ConvAttributes a{
        .axes = 1, .channels = 1, .pad_mode = mode, .pad_low = {2}, .pad_high = {2}, .bias = false};
    return first(OpKind::conv, a, {tensor_of({1, 3, 1}, {1, 2, 3}), tensor_of({1, 1, 1}, {1})});
  };
  EXPECT_EQ(padded(PadMode::zero), (Values{0, 0, 1, 2, 3, 0, 0}));
  EXPECT_EQ(padded(PadMode::reflect), (Values{3, 2, 1, 2, 3, 2, 1}));
  EXPECT_EQ(padded(PadMode::symmetric), (Values{2, 1, 1, 2, 3, 3, 2}));
  EXPECT_EQ(padded(PadMode::replicate), (Values{1, 1, 1, 2, 3, 3, 3}));
}

TEST(ReferenceConv, AddsTheGradientOfMirroredPixelsToTheirSource) {
  const ConvAttributes a{.axes = 1, .channels = 1, .pad_mode = PadMode::reflect, .pad_low = {2}, .bias = false};
  EXPECT_EQ(first(OpKind::conv_backward_data, ConvBackwardAttributes{a, {1, 3, 1}},
                  {tensor_of({1, 5, 1}, {1, 10, 100, 1000, 10000}), tensor_of({1, 1, 1}, {1})}),
            (Values{100, 1010, 10001}));
}

TEST(ReferenceConv, KeepsGroupsApart) {
  const ConvAttributes a{.axes = 1, .channels = 2, .groups = 2, .bias = false};
  EXPECT_EQ(first(OpKind::conv, a, {tensor_of({1, 2, 2}, {1, 2, 3, 4}), tensor_of({2, 1, 1}, {3, 5})}),
            (Values{3, 10, 9, 20}));
}

TEST(ReferenceConv, SumsOverThreeAxes) {
  const ConvAttributes a{.axes = 3, .channels = 1, .kernel = {2, 2, 2}, .bias = false};
  EXPECT_EQ(first(OpKind::conv, a,
                  {tensor_of({1, 2, 2, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8}),
                   tensor_of({1, 2, 2, 2, 1}, {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7})}),
            (Values{87654321}));
}

TEST(ReferenceDense, MatchesByHand) {
  EXPECT_EQ(first(OpKind::dense, DenseAttributes{.units = 2},
                  {tensor_of({1, 2}, {3, 4}), tensor_of({2, 2}, {1, 2, 10, 20}), tensor_of({2}, {0.5, 0})}),
            (Values{11.5, 110}));
}

TEST(ReferencePool, NeverLetsPaddingWin) {
  const Tensor x = tensor_of({1, 3, 1}, {-3, -2, -5});
  const PoolAttributes largest{
      .kind = PoolKind::max, .axes = 1, .kernel = {2}, .pad_low = {1}, .pad_high = {1}};
  EXPECT_EQ(first(OpKind::pool, largest, {x}), (Values{-3, -2, -2, -5}));
  PoolAttributes smallest = largest;
  smallest.kind = PoolKind::min;
  EXPECT_EQ(first(OpKind::pool, smallest, {tensor_of({1, 3, 1}, {3, 2, 5})}), (Values{3, 2, 2, 5}));
}

TEST(ReferencePool, AveragesOverTheImageOrOverThePaddingToo) {
  PoolAttributes a{
      .kind = PoolKind::average, .axes = 1, .kernel = {3}, .stride = {2}, .pad_low = {1}, .pad_high = {1}};
  const Tensor x = tensor_of({1, 4, 1}, {6, 12, 18, 24});
  EXPECT_EQ(first(OpKind::pool, a, {x}), (Values{9, 18}));
  a.count_padding = true;
  EXPECT_EQ(first(OpKind::pool, a, {x}), (Values{6, 18}));
  a.ceil = true;  // a third window holds 24, one padded position and nothing beyond
  EXPECT_EQ(first(OpKind::pool, a, {x}), (Values{6, 18, 12}));
}

TEST(ReferencePool, CountsWinnersByTheirPlaceInTheWindow) {
  const PoolAttributes a{.kind = PoolKind::max, .axes = 1, .kernel = {3}, .stride = {2}, .pad_low = {1}};
  const std::vector<Tensor> outputs = run_op(OpKind::pool, a, {tensor_of({1, 4, 1}, {7, 1, 2, 9})});
  EXPECT_EQ(values_of(outputs[0]), (Values{7, 9}));
  EXPECT_EQ(outputs[1].values<std::uint8_t>()[0], 1);  // position 0 of the window is padding
  EXPECT_EQ(outputs[1].values<std::uint8_t>()[1], 2);
}

TEST(ReferencePool, KeepsAWindowOfNothingButNotANumber) {
  const double nan = std::nan("");
  const PoolAttributes a{.kind = PoolKind::max, .axes = 1, .kernel = {2}, .stride = {2}};
  EXPECT_TRUE(std::isnan(first(OpKind::pool, a, {tensor_of({1, 2, 1}, {nan, nan})})[0]));
}

TEST(ReferenceActivation, MatchesClosedForms) {
  const Tensor x = tensor_of({4}, {-1, 0, 1, std::log(3)});
  const auto y = [&](ActivationKind kind) {
    return first(OpKind::activation, ActivationAttributes{kind}, {x});
  };
  EXPECT_EQ(y(ActivationKind::relu), (Values{0, 0, 1, std::log(3)}));
  EXPECT_NEAR(y(ActivationKind::sigmoid)[3], 0.75, 1e-15);
  EXPECT_NEAR(y(ActivationKind::tanh)[3], 0.8, 1e-15);      // (9 - 1) / (9 + 1)
  EXPECT_NEAR(y(ActivationKind::scaled_tanh)[2], 1, 1e-4);  // LeCun et al. 1998, appendix A: f(1) = 1
  EXPECT_NEAR(y(ActivationKind::scaled_tanh)[0], -1, 1e-4);
}

TEST(ReferenceActivation, LetsNotANumberThroughRelu) {
  EXPECT_TRUE(
      std::isnan(first(OpKind::activation, ActivationAttributes{}, {tensor_of({1}, {std::nan("")})})[0]));
}

TEST(ReferenceBatchNorm, GivesBiasedNormalisationAndUnbiasedVariance) {
  const BatchNormAttributes a{.epsilon = 3};
  const auto outputs =
      run_op(OpKind::batch_norm, a, {tensor_of({2, 1}, {1, 3}), tensor_of({1}, {4}), tensor_of({1}, {10})});
  EXPECT_EQ(values_of(outputs[0]), (Values{8, 12}));  // 4 (x - 2) / sqrt(1 + 3) + 10
  EXPECT_EQ(values_of(outputs[1]), (Values{2}));
  EXPECT_EQ(values_of(outputs[2]), (Values{0.5}));
  EXPECT_EQ(values_of(outputs[3]), (Values{2}));  // ((1 - 2)^2 + (3 - 2)^2) / (2 - 1)
}

TEST(ReferenceBatchNorm, OfOneElementHasVarianceZero) {
  const auto outputs = run_op(OpKind::batch_norm, BatchNormAttributes{},
                              {tensor_of({1, 1}, {5}), tensor_of({1}, {4}), tensor_of({1}, {10})});
  EXPECT_EQ(values_of(outputs[0]), (Values{10}));
  EXPECT_EQ(values_of(outputs[3]), (Values{0}));
}

TEST(ReferenceBatchNorm, UsesRunningStatisticsForInference) {
  EXPECT_EQ(first(OpKind::batch_norm_inference, BatchNormAttributes{.epsilon = 3},
                  {tensor_of({2, 1}, {1, 5}), tensor_of({1}, {2}), tensor_of({1}, {10}), tensor_of({1}, {3}),
                   tensor_of({1}, {13})}),
            (Values{9, 11}));  // 2 (x - 3) / 4 + 10
}

TEST(ReferenceDropout, KeepsWhereTheWordReachesTheThreshold) {
  const DropoutAttributes a{.rate = 0.25, .seed = 9, .name = "stage/drop"};
  const Tensor x = random_tensor({2, 3, 5}, 1);
  const Values y = first(OpKind::dropout, a, {x, keys_of({{4, 70}, {5, 71}})});
  for (std::uint64_t n = 0; n < 2; ++n) {
    const RandomKey key = RandomKey(9, "dropout").child(name_key("stage/drop")).child(4 + n).child(70 + n);
    for (std::uint64_t e = 0; e < 15; ++e)
      EXPECT_EQ(y[15 * n + e], key.word(e) >= (1u << 30) ? values_of(x)[15 * n + e] / 0.75 : 0.0);
  }
}

TEST(ReferenceElementwise, MatchesByHand) {
  const Tensor a = tensor_of({2, 2}, {1, 2, 3, 4}), b = tensor_of({2, 2}, {10, 20, 30, 40}),
               c = tensor_of({2}, {5, 7});
  EXPECT_EQ(first(OpKind::add, {}, {a, b, a}), (Values{12, 24, 36, 48}));
  EXPECT_EQ(first(OpKind::multiply, {}, {a, b}), (Values{10, 40, 90, 160}));
  EXPECT_EQ(first(OpKind::add_channels, {}, {a, c}), (Values{6, 9, 8, 11}));
  EXPECT_EQ(first(OpKind::multiply_channels, {}, {a, c}), (Values{5, 14, 15, 28}));
  EXPECT_EQ(first(OpKind::sum_to_channels, {}, {a}), (Values{4, 6}));
  EXPECT_EQ(first(OpKind::dot_to_channels, {}, {a, b}), (Values{100, 200}));
  EXPECT_EQ(first(OpKind::sum_weights, {}, {c}), (Values{12}));
}

TEST(ReferenceChannels, MatchesByHand) {
  const Tensor x = tensor_of({2, 3}, {1, 2, 3, 4, 5, 6}), u = tensor_of({2, 1}, {7, 8});
  EXPECT_EQ(first(OpKind::concat, {}, {u, x}), (Values{7, 1, 2, 3, 8, 4, 5, 6}));
  EXPECT_EQ(first(OpKind::slice, ChannelsAttributes{1, 2}, {x}), (Values{2, 3, 5, 6}));
  EXPECT_EQ(first(OpKind::pad_channels, ChannelsAttributes{1, 3}, {u}), (Values{0, 7, 0, 0, 8, 0}));
}

TEST(ReferenceConnections, PlacesEveryLink) {
  const ConnectionsAttributes a{2, 3, {{0, 2}, {1, 0}}};
  const Tensor full = run_op(OpKind::scatter_connections, a, {tensor_of({2, 2}, {1, 2, 3, 4})})[0];
  EXPECT_EQ(full.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(values_of(full), (Values{0, 0, 1, 0, 0, 2, 3, 0, 0, 4, 0, 0}));
  EXPECT_EQ(first(OpKind::gather_connections, a, {full}), (Values{1, 2, 3, 4}));
}

TEST(ReferenceSoftmax, MatchesClosedForms) {
  const auto outputs = run_op(OpKind::softmax_cross_entropy, LossAttributes{.scale = 2},
                              {tensor_of({2, 4}, {0, 0, 0, 0, 0, std::log(3), 0, std::log(3)}),
                               integers_of({2}, {3, 0}), tensor_of({2}, {1, 0.5})});
  EXPECT_NEAR(values_of(outputs[2])[0], std::log(4), 1e-15);
  EXPECT_NEAR(values_of(outputs[2])[1], std::log(8), 1e-15);
  EXPECT_NEAR(values_of(outputs[0])[0], 2 * (std::log(4) + 0.5 * std::log(8)), 1e-14);
  const Values expected{0.25, 0.25, 0.25, 0.25, 0.125, 0.375, 0.125, 0.375};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(values_of(outputs[1])[i], expected[i], 1e-15);
}

TEST(ReferenceSoftmax, NeitherOverflowsNorLosesTinyProbabilities) {
  const auto outputs = run_op(OpKind::softmax_cross_entropy, LossAttributes{},
                              {tensor_of({1, 2}, {1000, -1000}), integers_of({1}, {1}), tensor_of({1}, {1})});
  EXPECT_EQ(values_of(outputs[0]), (Values{2000}));
  EXPECT_EQ(values_of(outputs[1]), (Values{1, 0}));
}

TEST(ReferenceSoftmax, AveragesOverPositions) {
  const auto outputs =
      run_op(OpKind::softmax_cross_entropy, LossAttributes{},
             {tensor_of({1, 2, 2}, {0, 0, 0, std::log(3)}), integers_of({1, 2}, {0, 0}), tensor_of({1}, {1})});
  EXPECT_NEAR(values_of(outputs[2])[0], (std::log(2) + std::log(4)) / 2, 1e-15);
}

TEST(ReferenceSoftmax, NamesASampleWhoseLabelIsNoClass) {
  for (std::int32_t label : {-1, 2}) try {
      run_op(OpKind::softmax_cross_entropy, LossAttributes{},
             {tensor_of({2, 2}, {0, 0, 0, 0}), integers_of({2}, {0, label}), tensor_of({2}, {1, 1})});
      FAIL() << "label " << label << " was accepted";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("sample 1 of the micro-batch"), std::string::npos)
          << error.what();
      EXPECT_NE(std::string(error.what()).find("2 classes"), std::string::npos) << error.what();
    }
}

TEST(ReferenceLosses, MeanSquaredAndBinaryMatchClosedForms) {
  const auto squared =
      run_op(OpKind::mean_squared, LossAttributes{.scale = 10},
             {tensor_of({2, 2}, {1, 2, 3, 4}), tensor_of({2, 2}, {0, 0, 3, 2}), tensor_of({2}, {1, 3})});
  EXPECT_EQ(values_of(squared[1]), (Values{2.5, 2}));
  EXPECT_EQ(values_of(squared[0]), (Values{85}));
  const auto binary =
      run_op(OpKind::binary_cross_entropy, LossAttributes{},
             {tensor_of({3, 1}, {0, 1000, -1000}), tensor_of({3, 1}, {1, 1, 1}), tensor_of({3}, {1, 1, 1})});
  EXPECT_NEAR(values_of(binary[2])[0], std::log(2), 1e-15);
  EXPECT_EQ(values_of(binary[2])[1], 0);
  EXPECT_EQ(values_of(binary[2])[2], 1000);
  EXPECT_EQ(values_of(binary[1]), (Values{0.5, 1, 0}));
}

TEST(ReferenceTopK, TakesTheLowerIndexFirstAmongEquals) {
  const auto hits = [](std::int64_t k, std::int32_t label, Values logits) {
    return first(OpKind::top_k, TopKAttributes{k},
                 {tensor_of({1, 3}, logits), integers_of({1}, {label}), tensor_of({1}, {0.5})})[0];
  };
  EXPECT_EQ(hits(1, 0, {2, 2, 1}), 0.5);
  EXPECT_EQ(hits(1, 1, {2, 2, 1}), 0);
  EXPECT_EQ(hits(2, 1, {2, 2, 1}), 0.5);
  EXPECT_EQ(hits(3, 2, {2, 2, 1}), 0.5);
  EXPECT_EQ(hits(1, 1, {0, std::nan(""), 0}), 0);
}

TEST(ReferencePrepare, CropsPadsMirrorsAndNormalises) {
  const PrepareAttributes a{
      .axes = 2, .size = {2, 2}, .pad_value = 4, .mean = {2}, .deviation = {2}, .output = DType::f64};
  Tensor images({3, 2, 3, 1}, DType::u8);
  for (std::uint8_t i = 0; i < 18; ++i) images.values<std::uint8_t>()[i] = i;
  // Image 0 as it lies at (0, 1); image 1 mirrored on axis 2; image 2 from (1, -1): padding left and below.
  const Tensor transforms = integers_of({3, 4}, {0, 1, 0, 0, 0, 1, 0, 2, 1, -1, 0, 0});
  EXPECT_EQ(first(OpKind::prepare, a, {images, transforms}),
            (Values{-0.5, 0, 1, 1.5, 3, 2.5, 4.5, 4, 1, 6.5, 1, 1}));
}

TEST(ReferencePrepare, ReadsEveryStoredTypeOnOneAndThreeAxes) {
  const auto stored = [](DType dtype, auto value) {
    Tensor images({1, 2, 1, 1, 2}, dtype);
    for (std::size_t i = 0; i < 4; ++i)
      images.values<decltype(value)>()[i] = static_cast<decltype(value)>(value + i);
    const PrepareAttributes a{
        .axes = 3, .size = {2, 1, 1}, .mean = {0, 1}, .deviation = {1, 2}, .output = DType::f64};
    return first(OpKind::prepare, a, {images, integers_of({1, 4}, {0, 0, 0, 1})});  // mirrored on axis 1
  };
  EXPECT_EQ(stored(DType::u16, std::uint16_t{1000}), (Values{1002, 501, 1000, 500}));
  EXPECT_EQ(stored(DType::f32, 0.5f), (Values{2.5, 1.25, 0.5, 0.25}));
  EXPECT_EQ(stored(DType::f64, 0.5), (Values{2.5, 1.25, 0.5, 0.25}));
  Tensor row({1, 3, 1}, DType::u8);
  row.values<std::uint8_t>()[1] = 9;
  const PrepareAttributes line{.axes = 1, .size = {1}, .mean = {0}, .deviation = {1}, .output = DType::f64};
  EXPECT_EQ(first(OpKind::prepare, line, {row, integers_of({1, 4}, {1, 77, 77, 6})}),
            (Values{9}));  // others ignored
}

Tensor step_scalars(double rate, double divisor) {
  Tensor scalars({kStepScalars}, DType::f64);
  scalars.values<double>()[kLearningRate] = rate;
  scalars.values<double>()[kDivisor] = divisor;
  scalars.values<double>()[kApply] = 1;
  return scalars;
}

Values updated(const UpdateAttributes& a, int steps) {
  const Tensor w = tensor_of({1}, {1}), v = tensor_of({1}, {0}), gradient = tensor_of({1}, {8});
  const Tensor scalars = step_scalars(0.5, 4);
  for (int step = 0; step < steps; ++step) run_op(OpKind::weight_update, a, {w, v, gradient, scalars});
  return {w.values<double>()[0], v.values<double>()[0]};
}

TEST(ReferenceSgd, FollowsTheFormulaByHand) {
  EXPECT_EQ(updated({.momentum = 0}, 1), (Values{0, 2}));                         // w - 0.5 (8 / 4)
  EXPECT_EQ(updated({.momentum = 0.5}, 2), (Values{-1.5, 3}));                    // v: 2, 3; w: 0, -1.5
  EXPECT_EQ(updated({.momentum = 0.5, .nesterov = true}, 1), (Values{-0.5, 2}));  // 1 - 0.5 (2 + 0.5 * 2)
  EXPECT_EQ(updated({.momentum = 0, .decay = 1}, 1), (Values{-0.5, 3}));          // g = 2 + 1
  EXPECT_EQ(updated({.momentum = 0, .rate_factor = 2}, 1), (Values{-1, 2}));
}

TEST(ReferenceRunning, BlendsTheMeanOfTheMicroBatches) {
  const Tensor running = tensor_of({1}, {10});
  run_op(OpKind::running_update, RunningAttributes{.factor = 0.25, .micro_batches = 2},
         {running, tensor_of({1}, {4}), step_scalars(0, 1)});
  EXPECT_EQ(values_of(running), (Values{8}));
}

TEST(ReferenceBackend, DeclinesSinglePrecisionAndSaysSo) {
  const auto backend = make_reference_backend();
  const TensorDesc single{{2}, DType::f32};
  const OpDesc op{OpKind::activation, ActivationAttributes{}, {single}, {single}, {}};
  EXPECT_NE(backend->declines(op).find("float64"), std::string::npos);
  EXPECT_THROW(backend->bind(op, 1), UsageError);
}

TEST(ReferenceBackend, HasAKernelForEveryKindButViewsAndCallbacks) {
  const auto backend = make_reference_backend();
  for (int kind = 0; kind < static_cast<int>(OpKind::count_); ++kind) {
    const auto op_kind = static_cast<OpKind>(kind);
    const bool has_none = op_kind == OpKind::reshape || op_kind == OpKind::external || op_kind == OpKind::batch_sum;
    EXPECT_EQ(backend->declines({op_kind, {}, {}, {}, {}}).empty(), !has_none) << op_def(op_kind).name;
  }
}

TEST(ReferenceBackend, LeavesOutputsAloneThatNobodyWants) {
  const TensorDesc x{{2, 2}, DType::f64}, c{{2}, DType::f64};
  const OpDesc op{
      OpKind::batch_norm, BatchNormAttributes{}, {x, c, c}, {x, c, c, c}, {true, false, false, false}};
  Tensor values = tensor_of({2, 2}, {1, 2, 3, 4}), ones = tensor_of({2}, {1, 1}), y({2, 2}, DType::f64);
  const std::vector<void*> from{values.bytes(), ones.bytes(), ones.bytes()},
      to{y.bytes(), nullptr, nullptr, nullptr};
  make_reference_backend()->bind(op, 1)->run({from, to, nullptr});
  EXPECT_LT(y.values<double>()[0], 1);
  EXPECT_GT(y.values<double>()[2], 1);
}

}  // namespace
}  // namespace convoy::test
