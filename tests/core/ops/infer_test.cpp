// Output shapes, and what every op refuses with which words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/ops/op.h"
#include "core/ops/window.h"
#include "core/optim/scalars.h"
#include "core/tensor/error.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

TensorDesc real(Shape shape) { return {shape, DType::f64}; }
TensorDesc typed(Shape shape, DType dtype) { return {shape, dtype}; }

Shape shape_of(OpKind kind, const Attributes& attributes, const std::vector<TensorDesc>& inputs) {
  return op_def(kind).infer(attributes, inputs).at(0).shape;
}

/// The words of the UsageError; empty if the op accepts.
std::string refusal(OpKind kind, const Attributes& attributes, const std::vector<TensorDesc>& inputs) {
  try {
    op_def(kind).infer(attributes, inputs);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string conv_refusal(ConvAttributes a, Shape x = {2, 5, 5, 4}) {
  if (a.channels == 0) a.channels = 4;
  a.bias = false;
  const std::int64_t per_group = a.groups > 0 ? x[-1] / a.groups : 1;
  return refusal(OpKind::conv, a, {real(x), real({a.channels, a.kernel[0], a.kernel[1], per_group})});
}

TEST(OpTable, NamesAreUniqueAndEveryKindInfers) {
  std::set<std::string_view> names;
  for (int kind = 0; kind < static_cast<int>(OpKind::count_); ++kind) {
    const OpDef& def = op_def(static_cast<OpKind>(kind));
    EXPECT_TRUE(names.insert(def.name).second) << def.name;
    EXPECT_NE(def.infer, nullptr) << def.name;
  }
}

TEST(OpTable, EveryOpRefusesTheAttributesOfAnother) {
  for (int kind = 0; kind < static_cast<int>(OpKind::count_); ++kind) {
    const Attributes other =
        kind == static_cast<int>(OpKind::top_k) ? Attributes{UpdateAttributes{}} : TopKAttributes{};
    EXPECT_THAT(refusal(static_cast<OpKind>(kind), other, {real({2, 3})}),
                HasSubstr("attributes of another op"))
        << op_def(static_cast<OpKind>(kind)).name;
  }
}

TEST(OpTable, EveryOpWithInputsRefusesNone) {
  const std::vector<Attributes> alternatives{
      std::monostate{},         PrepareAttributes{},         ConvAttributes{},
      ConvBackwardAttributes{}, DenseAttributes{.units = 1}, PoolAttributes{},
      ActivationAttributes{},   BatchNormAttributes{},       DropoutAttributes{},
      ChannelsAttributes{},     ReshapeAttributes{},         LossAttributes{},
      TopKAttributes{},         ConnectionsAttributes{},     UpdateAttributes{},
      RunningAttributes{},      CastAttributes{},            GuardAttributes{},
      ClipAttributes{},         AverageAttributes{},
      ChainAttributes{}};
  for (int kind = 0; kind < static_cast<int>(OpKind::count_); ++kind) {
    if (kind == static_cast<int>(OpKind::external)) continue;
    for (const Attributes& attributes : alternatives)
      EXPECT_NE(refusal(static_cast<OpKind>(kind), attributes, {}), "")
          << op_def(static_cast<OpKind>(kind)).name;
  }
}

TEST(ConvInfer, FollowsTheFormulaOnEveryAxis) {
  const ConvAttributes a{.axes = 3,
                         .channels = 8,
                         .kernel = {7, 3, 2},
                         .stride = {2, 1, 3},
                         .dilation = {1, 2, 1},
                         .pad_low = {3, 2, 0},
                         .pad_high = {3, 1, 1}};
  // floor((32 + 6 - 6 - 1) / 2) + 1, floor((16 + 3 - 4 - 1) / 1) + 1, floor((9 + 1 - 1 - 1) / 3) + 1
  EXPECT_EQ(shape_of(OpKind::conv, a, {real({2, 32, 16, 9, 3}), real({8, 7, 3, 2, 3}), real({8})}),
            (Shape{2, 16, 15, 3, 8}));
}

TEST(ConvInfer, GivesBothGradientsTheirShapes) {
  const ConvAttributes a{.axes = 1, .channels = 6, .kernel = {3}, .groups = 2};
  const ConvBackwardAttributes backward{a, {2, 8, 4}};
  EXPECT_EQ(shape_of(OpKind::conv_backward_data, backward, {real({2, 6, 6}), real({6, 3, 2})}),
            (Shape{2, 8, 4}));
  const auto gradients =
      op_def(OpKind::conv_backward_filters).infer(backward, std::vector{real({2, 8, 4}), real({2, 6, 6})});
  ASSERT_EQ(gradients.size(), 2u);
  EXPECT_EQ(gradients[0].shape, (Shape{6, 3, 2}));
  EXPECT_EQ(gradients[1].shape, (Shape{6}));
}

TEST(Conv, RejectsChannelsNotDivisibleByGroups) {
  EXPECT_THAT(conv_refusal({.groups = 3}), HasSubstr("4 input channels cannot be split into 3 groups"));
  EXPECT_THAT(conv_refusal({.channels = 6, .groups = 4}),
              HasSubstr("6 output channels cannot be split into 4 groups"));
  EXPECT_THAT(conv_refusal({.groups = 0}), HasSubstr("groups must be at least 1"));
}

TEST(Conv, RejectsAKernelBeyondThePaddedInput) {
  EXPECT_THAT(
      conv_refusal({.kernel = {7, 1, 1}, .pad_low = {1, 0, 0}}),
      HasSubstr("on axis 1 the kernel covers 7 pixels, but the padded input has only 6 (5 + 1 low + 0 high)"));
  EXPECT_THAT(conv_refusal({.kernel = {1, 3, 1}, .dilation = {1, 3, 1}}),
              HasSubstr("on axis 2 the kernel covers 7"));
}

TEST(Conv, RejectsZeroStrideDilationAndKernel) {
  EXPECT_THAT(conv_refusal({.stride = {1, 0, 1}}),
              HasSubstr("stride must be at least 1 and at most 2147483647, but is 0 on axis 2"));
  EXPECT_THAT(conv_refusal({.dilation = {0, 1, 1}}),
              HasSubstr("dilation must be at least 1 and at most 2147483647, but is 0 on axis 1"));
  EXPECT_THAT(conv_refusal({.kernel = {0, 1, 1}}),
              HasSubstr("kernel must be at least 1 and at most 2147483647, but is 0 on axis 1"));
}

TEST(Conv, RejectsNumbersThatWouldOverflow) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_THAT(refusal(OpKind::conv, ConvAttributes{.channels = 1, .kernel = {3, 1}, .dilation = {huge, 1}},
                      {real({1, 5, 5, 1}), real({1, 3, 1, 1}), real({1})}),
              HasSubstr("dilation must be at least 1 and at most"));
  EXPECT_THAT(conv_refusal({.pad_low = {huge, 0}, .pad_high = {huge, 0}}),
              HasSubstr("padding must be at most"));
}

TEST(Conv, RejectsPaddingThatCannotBeMirrored) {
  EXPECT_EQ(conv_refusal({.pad_mode = PadMode::reflect, .pad_low = {4, 4, 0}}), "");
  EXPECT_THAT(conv_refusal({.pad_mode = PadMode::reflect, .pad_low = {5, 0, 0}}),
              HasSubstr("at most extent - 1 = 4"));
  EXPECT_EQ(conv_refusal({.pad_mode = PadMode::symmetric, .pad_high = {5, 5, 0}}), "");
  EXPECT_THAT(conv_refusal({.pad_mode = PadMode::symmetric, .pad_high = {0, 6, 0}}),
              HasSubstr("at most the 5 pixels"));
  EXPECT_EQ(conv_refusal({.pad_mode = PadMode::replicate, .pad_high = {50, 0, 0}}), "");
  EXPECT_THAT(conv_refusal({.pad_low = {-1, 0, 0}}), HasSubstr("must not be negative"));
}

TEST(Conv, RejectsAnInputOfAnotherRank) {
  EXPECT_THAT(conv_refusal({}, {2, 5, 4}),
              HasSubstr("with 2 spatial axes x must be [n, s1.., c], but its shape is"));
  EXPECT_THAT(conv_refusal({.axes = 4}), HasSubstr("1 to 3 spatial axes"));
  EXPECT_THAT(conv_refusal({}, {2, 0, 5, 4}), HasSubstr("must not be empty"));
}

TEST(Conv, RejectsOperandsThatDoNotFit) {
  const ConvAttributes a{.channels = 4, .kernel = {3, 3, 1}};
  const TensorDesc x = real({2, 5, 5, 4}), filters = real({4, 3, 3, 4}), bias = real({4});
  EXPECT_EQ(refusal(OpKind::conv, a, {x, filters, bias}), "");
  EXPECT_THAT(refusal(OpKind::conv, a, {x, filters}), HasSubstr("takes 3 inputs (x, filters, bias), but 2"));
  EXPECT_THAT(refusal(OpKind::conv, a, {x, real({4, 3, 4, 3}), bias}),
              HasSubstr("filters must have the shape [4, 3, 3, 4], but has [4, 3, 4, 3]"));
  EXPECT_THAT(refusal(OpKind::conv, a, {x, filters, real({5})}), HasSubstr("bias must have the shape [4]"));
  EXPECT_THAT(refusal(OpKind::conv, a, {x, typed({4, 3, 3, 4}, DType::f32), bias}), HasSubstr("of one type"));
  EXPECT_THAT(refusal(OpKind::conv, a, {typed({2, 5, 5, 4}, DType::u8), filters, bias}),
              HasSubstr("real numbers"));
}

TEST(Conv, RejectsFusedActivationsOtherThanRelu) {
  EXPECT_EQ(conv_refusal({.activation = ActivationKind::relu}), "");
  EXPECT_THAT(conv_refusal({.activation = ActivationKind::tanh}), HasSubstr("fused with relu only"));
}

TEST(Conv, BackwardOpsRejectAGradientOfAnotherShape) {
  const ConvBackwardAttributes backward{{.axes = 1, .channels = 3, .kernel = {3}}, {2, 8, 4}};
  EXPECT_THAT(refusal(OpKind::conv_backward_data, backward, {real({2, 7, 3}), real({3, 3, 4})}),
              HasSubstr("dy must have the shape [2, 6, 3]"));
  EXPECT_THAT(refusal(OpKind::conv_backward_filters, backward, {real({2, 9, 4}), real({2, 6, 3})}),
              HasSubstr("x must have the shape [2, 8, 4]"));
}

TEST(Dense, RejectsOperandsThatDoNotFit) {
  const DenseAttributes a{.units = 3};
  EXPECT_EQ(refusal(OpKind::dense, a, {real({2, 5}), real({3, 5}), real({3})}), "");
  EXPECT_THAT(refusal(OpKind::dense, a, {real({2, 5, 1}), real({3, 5}), real({3})}),
              HasSubstr("flatten it first"));
  EXPECT_THAT(refusal(OpKind::dense, a, {real({2, 5}), real({5, 3}), real({3})}),
              HasSubstr("weights must have"));
  EXPECT_THAT(refusal(OpKind::dense, DenseAttributes{}, {real({2, 5}), real({0, 5}), real({0})}),
              HasSubstr("at least 1 unit"));
}

std::int64_t pooled(std::int64_t extent, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
                    bool ceil) {
  const PoolAttributes a{
      .axes = 1, .kernel = {kernel}, .stride = {stride}, .pad_low = {pad}, .pad_high = {pad}, .ceil = ceil};
  return shape_of(OpKind::pool, a, {real({1, extent, 1})})[1];
}

TEST(PoolInfer, GivesGoogLeNetItsSizesInCeilModeOnly) {  // Szegedy et al. 2015, table 1
  EXPECT_EQ(pooled(112, 3, 2, 0, true), 56);
  EXPECT_EQ(pooled(56, 3, 2, 0, true), 28);
  EXPECT_EQ(pooled(28, 3, 2, 0, true), 14);
  EXPECT_EQ(pooled(14, 3, 2, 0, true), 7);
  EXPECT_EQ(pooled(112, 3, 2, 0, false), 55);
  EXPECT_EQ(pooled(112, 3, 2, 1, false), 56);
}

TEST(PoolInfer, DropsAWindowThatWouldStartBeyondImageAndLowPadding) {
  EXPECT_EQ(pooled(3, 2, 2, 1, true), 2);  // ceil((5 - 2) / 2) + 1 = 3, but the third would start at 4 = 3 + 1
  EXPECT_EQ(pooled(4, 2, 3, 1, true), 2);
  EXPECT_EQ(pooled(5, 2, 2, 0, true), 3);
}

TEST(PoolInfer, ReducesTheWholeImageToOnePixel) {
  EXPECT_EQ(shape_of(OpKind::pool, PoolAttributes{.axes = 3, .global = true}, {real({2, 3, 4, 5, 6})}),
            (Shape{2, 1, 1, 1, 6}));
}

TEST(PoolInfer, ChoosesTheNarrowestTypeForWinners) {
  const auto winner = [](std::int64_t kernel) {
    const PoolAttributes a{.axes = 2, .kernel = {kernel, 16}};
    return op_def(OpKind::pool).infer(a, std::vector{real({1, 20, 20, 1})}).at(1).dtype;
  };
  EXPECT_EQ(winner(16), DType::u8);
  EXPECT_EQ(winner(17), DType::i32);
  const PoolAttributes average{.kind = PoolKind::average, .axes = 1, .kernel = {2}};
  EXPECT_EQ(op_def(OpKind::pool).infer(average, std::vector{real({1, 4, 1})}).size(), 1u);
}

TEST(Pool, RejectsWindowsThatLieInThePadding) {
  const PoolAttributes a{.axes = 1, .kernel = {2}, .pad_low = {2}};
  EXPECT_THAT(refusal(OpKind::pool, a, {real({1, 5, 1})}), HasSubstr("wholly in the padding"));
}

TEST(Pool, RejectsAKernelBeyondThePaddedInput) {
  const PoolAttributes a{.axes = 1, .kernel = {7}, .pad_low = {1}, .ceil = true};
  EXPECT_THAT(refusal(OpKind::pool, a, {real({1, 5, 1})}), HasSubstr("kernel covers 7"));
  EXPECT_THAT(refusal(OpKind::pool, PoolAttributes{.axes = 1, .kernel = {2}, .stride = {0}}, {real({1, 5, 1})}),
              HasSubstr("stride must be at least 1 and"));
}

TEST(Pool, BackwardRejectsAWinnerOfAnotherType) {
  const PoolAttributes a{.axes = 1, .kernel = {2}, .stride = {2}, .input = {1, 4, 1}};
  EXPECT_EQ(refusal(OpKind::pool_backward, a, {real({1, 2, 1}), typed({1, 2, 1}, DType::u8)}), "");
  EXPECT_THAT(refusal(OpKind::pool_backward, a, {real({1, 2, 1}), typed({1, 2, 1}, DType::i32)}),
              HasSubstr("winner must be uint8, but is int32"));
  EXPECT_THAT(refusal(OpKind::pool_backward, a, {real({1, 3, 1}), typed({1, 3, 1}, DType::u8)}),
              HasSubstr("dy must have the shape [1, 2, 1]"));
}

TEST(Activation, RejectsNone) {
  EXPECT_THAT(refusal(OpKind::activation, ActivationAttributes{ActivationKind::none}, {real({2, 2})}),
              HasSubstr("leave the op out"));
}

TEST(BatchNorm, RejectsParametersThatAreNotPerChannel) {
  EXPECT_EQ(refusal(OpKind::batch_norm, BatchNormAttributes{}, {real({4, 2, 3}), real({3}), real({3})}), "");
  EXPECT_THAT(refusal(OpKind::batch_norm, BatchNormAttributes{}, {real({4, 2, 3}), real({3}), real({2})}),
              HasSubstr("input 2 must hold one number for each of the 3 channels"));
  EXPECT_THAT(
      refusal(OpKind::batch_norm, BatchNormAttributes{.epsilon = 0}, {real({4, 3}), real({3}), real({3})}),
      HasSubstr("epsilon must be above 0"));
}

TEST(BatchNorm, BackwardTakesTheOutputOnlyWithAnActivation) {
  const TensorDesc x = real({4, 3}), c = real({3});
  EXPECT_EQ(refusal(OpKind::batch_norm_backward, BatchNormAttributes{}, {x, c, c, c, x}), "");
  EXPECT_NE(refusal(OpKind::batch_norm_backward, BatchNormAttributes{}, {x, c, c, c, x, x}), "");
  const BatchNormAttributes fused{.activation = ActivationKind::relu};
  EXPECT_EQ(refusal(OpKind::batch_norm_backward, fused, {x, c, c, c, x, x}), "");
  EXPECT_NE(refusal(OpKind::batch_norm_backward, fused, {x, c, c, c, x}), "");
}

TEST(Dropout, RejectsRatesAndKeysThatMakeNoSense) {
  const TensorDesc x = real({4, 3}), keys = typed({4, 2}, DType::u64);
  EXPECT_EQ(refusal(OpKind::dropout, DropoutAttributes{}, {x, keys}), "");
  for (double rate : {-0.1, 1.0, std::nan("")})
    EXPECT_THAT(refusal(OpKind::dropout, DropoutAttributes{.rate = rate}, {x, keys}), HasSubstr("[0, 1)"));
  EXPECT_THAT(refusal(OpKind::dropout, DropoutAttributes{}, {x, typed({3, 2}, DType::u64)}),
              HasSubstr("[4, 2]"));
  EXPECT_THAT(refusal(OpKind::dropout, DropoutAttributes{}, {x, typed({4, 2}, DType::i32)}),
              HasSubstr("uint64"));
}

TEST(Rows, RejectWhatMakesNoSense) {
  const TensorDesc x = real({4, 2, 6});
  EXPECT_THAT(refusal(OpKind::local_response, LocalResponseAttributes{.size = 4}, {x}), HasSubstr("odd number"));
  EXPECT_THAT(refusal(OpKind::local_response, LocalResponseAttributes{.k = 0}, {x}), HasSubstr("k > 0"));
  EXPECT_THAT(refusal(OpKind::local_response_backward, LocalResponseAttributes{}, {x, real({4, 2, 5})}), HasSubstr("dy must have"));
  EXPECT_THAT(refusal(OpKind::layer_norm, LayerNormAttributes{.epsilon = 0}, {x}), HasSubstr("epsilon must be positive"));
  EXPECT_THAT(refusal(OpKind::layer_norm_backward, LayerNormAttributes{}, {x, real({4}), x}), HasSubstr("[4, 2]"));
}

TEST(Resample, RejectsExtentsThatMakeNoSense) {
  EXPECT_THAT(refusal(OpKind::resample, ResampleAttributes{.axes = 2, .size = {4, 0, 1}}, {real({1, 2, 2, 1})}),
              HasSubstr("at least 1 is needed"));
  EXPECT_NE(refusal(OpKind::resample, ResampleAttributes{.axes = 2, .size = {4, 4, 1}}, {real({1, 2, 1})}), "");
  EXPECT_THAT(refusal(OpKind::resample_backward, ResampleAttributes{.axes = 1, .size = {4, 1, 1}, .input = {1, 2, 3}}, {real({1, 5, 3})}),
              HasSubstr("[1, 4, 3]"));
}

TEST(Paths, RejectRatesAndNumbersThatMakeNoSense) {
  const TensorDesc keys = typed({4, 2}, DType::u64);
  EXPECT_EQ(refusal(OpKind::path_weights, PathsAttributes{}, {keys}), "");
  EXPECT_THAT(refusal(OpKind::path_weights, PathsAttributes{.rate = 1}, {keys}), HasSubstr("[0, 1)"));
  EXPECT_THAT(refusal(OpKind::path_weights, PathsAttributes{.global = 1.5}, {keys}), HasSubstr("[0, 1]"));
  EXPECT_THAT(refusal(OpKind::path_weights, PathsAttributes{.paths = 3, .columns = 2}, {keys}), HasSubstr("as many columns"));
  EXPECT_THAT(refusal(OpKind::scale_samples, {}, {real({4, 3}), real({3})}), HasSubstr("[4]"));
}

TEST(Activation, RejectsSlopesThatHideTheSign) {
  for (const ActivationKind kind : {ActivationKind::leaky_relu, ActivationKind::elu})
    for (const double slope : {0.0, -1.0, std::nan("")})
      EXPECT_THAT(refusal(OpKind::activation, ActivationAttributes{kind, slope}, {real({2, 2})}), HasSubstr("slope above 0"));
}

TEST(Loss, RejectsSmoothingThatLeavesNothing) {
  for (const double smoothing : {-0.1, 1.0})
    EXPECT_THAT(refusal(OpKind::softmax_cross_entropy, LossAttributes{.smoothing = smoothing},
                        {real({4, 3}), typed({4}, DType::i32), real({4})}), HasSubstr("[0, 1)"));
}

TEST(Elementwise, RejectsValuesOfDifferentShapes) {
  EXPECT_THAT(refusal(OpKind::add, {}, {real({2, 3})}), HasSubstr("two or more inputs"));
  EXPECT_THAT(refusal(OpKind::add, {}, {real({2, 3}), real({2, 3}), real({3, 2})}),
              HasSubstr("input 2 is [3, 2]"));
  EXPECT_THAT(refusal(OpKind::multiply, {}, {real({2, 3}), real({3})}), HasSubstr("of one shape"));
  EXPECT_THAT(refusal(OpKind::add_channels, {}, {real({2, 3}), real({2})}),
              HasSubstr("b must have the shape [3]"));
  EXPECT_THAT(refusal(OpKind::multiply_channels, {}, {real({2, 3}), real({2})}), HasSubstr("g must have"));
  EXPECT_THAT(refusal(OpKind::dot_to_channels, {}, {real({2, 3}), real({3, 3})}), HasSubstr("of one shape"));
  EXPECT_THAT(refusal(OpKind::sum_weights, {}, {real({2, 3})}), HasSubstr("weights [n]"));
}

TEST(Channels, RejectsWhatIsNotThere) {
  EXPECT_EQ(shape_of(OpKind::concat, {}, {real({2, 3, 1}), real({2, 3, 4})}), (Shape{2, 3, 5}));
  EXPECT_THAT(refusal(OpKind::concat, {}, {real({2, 3, 1}), real({2, 4, 1})}),
              HasSubstr("only in the last axis"));
  EXPECT_THAT(refusal(OpKind::slice, ChannelsAttributes{2, 2}, {real({2, 3})}), HasSubstr("do not exist in x"));
  EXPECT_THAT(refusal(OpKind::slice, ChannelsAttributes{0, 0}, {real({2, 3})}), HasSubstr("do not exist in x"));
  EXPECT_THAT(refusal(OpKind::pad_channels, ChannelsAttributes{2, 4}, {real({2, 3})}),
              HasSubstr("do not fit into 4"));
  EXPECT_THAT(refusal(OpKind::reshape, ReshapeAttributes{{7}}, {real({2, 3})}), HasSubstr("has 6 elements"));
}

TEST(Losses, RejectLabelsTargetsAndWeightsThatDoNotFit) {
  const TensorDesc logits = real({4, 2, 3}), labels = typed({4, 2}, DType::i32), weights = real({4});
  const auto softmax = [](const std::vector<TensorDesc>& inputs) {
    return refusal(OpKind::softmax_cross_entropy, LossAttributes{}, inputs);
  };
  EXPECT_EQ(softmax({logits, labels, weights}), "");
  EXPECT_THAT(softmax({logits, typed({4}, DType::i32), weights}),
              HasSubstr("labels must have the shape [4, 2]"));
  EXPECT_THAT(softmax({logits, real({4, 2}), weights}), HasSubstr("labels must be int32, but is float64"));
  EXPECT_THAT(softmax({logits, labels, real({3})}), HasSubstr("weights must have the shape [4]"));
  EXPECT_THAT(refusal(OpKind::mean_squared, LossAttributes{}, {logits, real({4, 3, 2}), weights}),
              HasSubstr("target must have the shape [4, 2, 3]"));
  EXPECT_THAT(refusal(OpKind::binary_cross_entropy, LossAttributes{}, {logits, logits, real({2})}),
              HasSubstr("weights must have"));
}

TEST(TopK, RejectsAKBeyondTheClasses) {
  const std::vector<TensorDesc> inputs{real({4, 3}), typed({4}, DType::i32), real({4})};
  EXPECT_EQ(refusal(OpKind::top_k, TopKAttributes{3}, inputs), "");
  EXPECT_THAT(refusal(OpKind::top_k, TopKAttributes{4}, inputs), HasSubstr("k must be in [1, 3]"));
  EXPECT_THAT(refusal(OpKind::top_k, TopKAttributes{0}, inputs), HasSubstr("k must be in [1, 3]"));
}

TEST(Connections, RejectsLinksBeyondTheMapsAndTwins) {
  const auto scatter = [](std::vector<std::pair<int, int>> links) {
    const auto count = static_cast<std::int64_t>(links.size());
    return refusal(OpKind::scatter_connections, ConnectionsAttributes{3, 2, links}, {real({count, 5, 5})});
  };
  EXPECT_EQ(scatter({{0, 0}, {2, 1}}), "");
  EXPECT_THAT(scatter({{0, 0}, {3, 1}}), HasSubstr("link (3, 1) names a map beyond"));
  EXPECT_THAT(scatter({{0, -1}}), HasSubstr("names a map beyond"));
  EXPECT_THAT(scatter({{0, 1}, {0, 1}}), HasSubstr("listed twice"));
  EXPECT_THAT(refusal(OpKind::gather_connections, ConnectionsAttributes{3, 2, {{0, 0}}}, {real({3, 5, 5, 4})}),
              HasSubstr("2 input maps"));
}

TEST(Prepare, RejectsStatisticsThatDoNotFitTheChannels) {
  PrepareAttributes a{.size = {4, 4}, .mean = {0, 0}, .deviation = {1, 1}, .output = DType::f64};
  const std::vector<TensorDesc> inputs{typed({3, 6, 6, 2}, DType::u8), typed({3, 4}, DType::i32)};
  EXPECT_EQ(refusal(OpKind::prepare, a, inputs), "");
  a.mean = {0};
  EXPECT_THAT(refusal(OpKind::prepare, a, inputs), HasSubstr("each of the 2 channels, but got 1 means"));
  a.mean = {0, 0};
  a.deviation = {1, 0};
  EXPECT_THAT(refusal(OpKind::prepare, a, inputs), HasSubstr("must be above 0"));
  a.deviation = {1, 1};
  a.size = {4, 0};
  EXPECT_THAT(refusal(OpKind::prepare, a, inputs), HasSubstr("at least 1 pixel on axis 2"));
}

TEST(Prepare, RejectsImagesAndTransformsOfOtherTypes) {
  const PrepareAttributes a{.size = {4, 4}, .mean = {0}, .deviation = {1}};
  const TensorDesc transforms = typed({3, 4}, DType::i32);
  EXPECT_THAT(refusal(OpKind::prepare, a, {typed({3, 6, 6, 1}, DType::i64), transforms}),
              HasSubstr("these are int64"));
  EXPECT_THAT(refusal(OpKind::prepare, a, {typed({3, 6, 6, 1}, DType::u8), typed({3, 3}, DType::i32)}),
              HasSubstr("transforms must have the shape [3, 4]"));
}

TEST(Updates, RejectSlotsOfAnotherShapeAndWrongFactors) {
  const TensorDesc w = real({3, 2}), scalars = real({kStepScalars});
  EXPECT_EQ(refusal(OpKind::weight_update, UpdateAttributes{}, {w, w, w, scalars}), "");
  EXPECT_THAT(refusal(OpKind::weight_update, UpdateAttributes{}, {w, real({6}), w, scalars}),
              HasSubstr("slot must have"));
  EXPECT_THAT(refusal(OpKind::weight_update, UpdateAttributes{}, {w, w, w, real({2})}),
              HasSubstr("scalars must have"));
  EXPECT_THAT(refusal(OpKind::weight_update, UpdateAttributes{.momentum = 1}, {w, w, w, scalars}),
              HasSubstr("momentum"));
  EXPECT_THAT(refusal(OpKind::weight_update, UpdateAttributes{.decay = -1}, {w, w, w, scalars}), HasSubstr("decay"));
  const UpdateAttributes adam{.rule = Optimizer::adam};
  EXPECT_EQ(refusal(OpKind::weight_update, adam, {w, w, w, w, scalars}), "");
  EXPECT_THAT(refusal(OpKind::weight_update, adam, {w, w, w, scalars}), HasSubstr("operands"));
  EXPECT_THAT(refusal(OpKind::weight_update, UpdateAttributes{.beta2 = 1}, {w, w, w, scalars}), HasSubstr("beta2"));
  const UpdateAttributes lars{.rule = Optimizer::lars, .gradient_norm = 0, .weight_norm = 1};
  EXPECT_EQ(refusal(OpKind::weight_update, lars, {w, w, w, scalars, typed({2}, DType::f64)}), "");
  EXPECT_THAT(refusal(OpKind::weight_update, lars, {w, w, w, scalars, typed({1}, DType::f64)}), HasSubstr("norms 0 and 1"));
  EXPECT_THAT(refusal(OpKind::clip_norm, ClipAttributes{.tensors = 3}, {typed({2}, DType::f64), scalars}), HasSubstr("3 norms"));
  EXPECT_THAT(refusal(OpKind::average_update, AverageAttributes{.decay = 1}, {w, w, scalars}), HasSubstr("[0, 1)"));
  EXPECT_THAT(refusal(OpKind::running_update, RunningAttributes{.micro_batches = 0}, {w, w, scalars}),
              HasSubstr("micro-batch"));
  EXPECT_THAT(refusal(OpKind::running_update, RunningAttributes{.factor = 2}, {w, w, scalars}), HasSubstr("[0, 1]"));
}

TEST(Window, ShowsThePixelThatEachPaddingModeNames) {
  const auto row = [](PadMode mode) {
    std::vector<std::int64_t> pixels;
    for (std::int64_t index = -2; index < 5; ++index) pixels.push_back(source_index(index, 3, mode));
    return pixels;
  };
  EXPECT_EQ(row(PadMode::zero), (std::vector<std::int64_t>{-1, -1, 0, 1, 2, -1, -1}));
  EXPECT_EQ(row(PadMode::reflect), (std::vector<std::int64_t>{2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(row(PadMode::symmetric), (std::vector<std::int64_t>{1, 0, 0, 1, 2, 2, 1}));
  EXPECT_EQ(row(PadMode::replicate), (std::vector<std::int64_t>{0, 0, 0, 1, 2, 2, 2}));
}

}  // namespace
}  // namespace convoy::test
