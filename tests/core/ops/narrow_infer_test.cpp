// Types in mixed precision: what is data may be bf16 or f16, what stands beside it stays f32.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ops/op.h"
#include "core/tensor/error.h"

namespace convoy::test {
namespace {

constexpr DType kWide = DType::f32;

std::vector<DType> output_types(OpKind kind, const Attributes& attributes, const std::vector<TensorDesc>& inputs) {
  std::vector<DType> types;
  for (const TensorDesc& output : op_def(kind).infer(attributes, inputs)) types.push_back(output.dtype);
  return types;
}

std::string refusal(OpKind kind, const Attributes& attributes, const std::vector<TensorDesc>& inputs) {
  try {
    op_def(kind).infer(attributes, inputs);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

using testing::ElementsAre;
using testing::HasSubstr;

class NarrowInfer : public testing::TestWithParam<DType> {
 protected:
  const DType t = GetParam();
  TensorDesc data(Shape shape) const { return {shape, t}; }
  static TensorDesc wide(Shape shape) { return {shape, kWide}; }
  const ConvAttributes conv_{.axes = 1, .channels = 6, .kernel = {3, 1, 1}};
  const ConvBackwardAttributes conv_back_{conv_, {2, 8, 4}};
  const DenseAttributes dense_{.units = 5};
};

TEST_P(NarrowInfer, LayersTakeNarrowDataAndWeightsBesideAWideBias) {
  EXPECT_THAT(output_types(OpKind::conv, conv_, {data({2, 8, 4}), data({6, 3, 4}), wide({6})}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::dense, dense_, {data({2, 7}), data({5, 7}), wide({5})}), ElementsAre(t));
}

TEST_P(NarrowInfer, GradientsOfDataAreNarrowAndOfParametersWide) {
  EXPECT_THAT(output_types(OpKind::conv_backward_data, conv_back_, {data({2, 6, 6}), data({6, 3, 4})}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::conv_backward_filters, conv_back_, {data({2, 8, 4}), data({2, 6, 6})}),
              ElementsAre(kWide, kWide));
  EXPECT_THAT(output_types(OpKind::dense_backward_data, dense_, {data({2, 5}), data({5, 7})}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::dense_backward_weights, dense_, {data({2, 7}), data({2, 5})}),
              ElementsAre(kWide, kWide));
}

TEST_P(NarrowInfer, NormsKeepParametersAndStatisticsWide) {
  const BatchNormAttributes plain, fused{.activation = ActivationKind::relu};
  const TensorDesc x = data({2, 8, 4}), c = wide({4});
  EXPECT_THAT(output_types(OpKind::batch_norm, plain, {x, c, c}), ElementsAre(t, kWide, kWide, kWide));
  EXPECT_THAT(output_types(OpKind::batch_norm_inference, plain, {x, c, c, c, c}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::batch_norm_backward, fused, {x, c, c, c, x, x}), ElementsAre(t, kWide, kWide));
}

TEST_P(NarrowInfer, ElementsStayInTheirTypeAndChannelSumsAreWide) {
  const TensorDesc x = data({2, 8, 4}), c = wide({4}), keys{{2, 2}, DType::u64};
  EXPECT_THAT(output_types(OpKind::activation, ActivationAttributes{}, {x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::activation_backward, ActivationAttributes{}, {x, x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::add, {}, {x, x, x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::multiply, {}, {x, x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::add_channels, {}, {x, c}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::multiply_channels, {}, {x, c}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::sum_to_channels, {}, {x}), ElementsAre(kWide));
  EXPECT_THAT(output_types(OpKind::dot_to_channels, {}, {x, x}), ElementsAre(kWide));
  EXPECT_THAT(output_types(OpKind::concat, {}, {x, x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::slice, ChannelsAttributes{1, 2}, {x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::pad_channels, ChannelsAttributes{1, 9}, {x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::reshape, ReshapeAttributes{{2, 32}}, {x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::dropout, DropoutAttributes{}, {x, keys}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::cast, CastAttributes{kWide}, {x}), ElementsAre(kWide));
  EXPECT_THAT(output_types(OpKind::scale_samples, {}, {x, wide({2})}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::local_response, LocalResponseAttributes{}, {x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::local_response_backward, LocalResponseAttributes{}, {x, x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::layer_norm, LayerNormAttributes{}, {x}), ElementsAre(t, kWide));
  EXPECT_THAT(output_types(OpKind::layer_norm_backward, LayerNormAttributes{}, {x, wide({2, 8}), x}), ElementsAre(t));
  EXPECT_THAT(output_types(OpKind::resample, ResampleAttributes{.axes = 1, .size = {4, 1, 1}}, {x}), ElementsAre(t));
}

TEST_P(NarrowInfer, PoolsKeepTheirWinners) {
  PoolAttributes pool{.axes = 1, .kernel = {2, 1, 1}, .stride = {2, 1, 1}};
  EXPECT_THAT(output_types(OpKind::pool, pool, {data({2, 8, 4})}), ElementsAre(t, DType::u8));
  pool.input = {2, 8, 4};
  EXPECT_THAT(output_types(OpKind::pool_backward, pool, {data({2, 4, 4}), {{2, 4, 4}, DType::u8}}), ElementsAre(t));
}

TEST_P(NarrowInfer, PreparationWritesTheTypeThatIsAskedFor) {
  const PrepareAttributes prepare{.axes = 1, .size = {8, 0, 0}, .mean = {0}, .deviation = {1}, .output = t};
  EXPECT_THAT(output_types(OpKind::prepare, prepare, {{{2, 8, 1}, DType::u8}, {{2, 4}, DType::i32}}), ElementsAre(t));
}

TEST_P(NarrowInfer, RefusesNarrowCompanions) {
  const TensorDesc x = data({2, 8, 4}), c = data({4});
  EXPECT_THAT(refusal(OpKind::conv, conv_, {x, data({6, 3, 4}), data({6})}), HasSubstr("input 2 must be float32"));
  EXPECT_THAT(refusal(OpKind::batch_norm, BatchNormAttributes{}, {x, wide({4}), c}), HasSubstr("input 2 must be float32"));
  EXPECT_THAT(refusal(OpKind::add_channels, {}, {x, c}), HasSubstr("input 1 must be float32"));
}

TEST_P(NarrowInfer, RefusesWideDataBesideNarrow) {
  EXPECT_THAT(refusal(OpKind::conv, conv_, {data({2, 8, 4}), wide({6, 3, 4}), wide({6})}), HasSubstr("float32"));
  EXPECT_THAT(refusal(OpKind::add, {}, {data({3}), wide({3})}), HasSubstr("of one type"));
}

TEST_P(NarrowInfer, RefusesToComputeLossesAndUpdatesInANarrowType) {
  const TensorDesc logits = data({2, 5}), labels{{2}, DType::i32}, weights = data({2});
  EXPECT_THAT(refusal(OpKind::softmax_cross_entropy, LossAttributes{}, {logits, labels, weights}), HasSubstr("cast it first"));
  EXPECT_THAT(refusal(OpKind::mean_squared, LossAttributes{}, {logits, logits, weights}), HasSubstr("cast it first"));
  EXPECT_THAT(refusal(OpKind::top_k, TopKAttributes{1}, {logits, labels, weights}), HasSubstr("cast it first"));
  EXPECT_THAT(refusal(OpKind::sum_weights, {}, {weights}), HasSubstr("cast it first"));
  const ConnectionsAttributes links{.outputs = 1, .inputs = 1, .links = {{0, 0}}};
  EXPECT_THAT(refusal(OpKind::scatter_connections, links, {data({1, 3})}), HasSubstr("cast it first"));
}

INSTANTIATE_TEST_SUITE_P(Types, NarrowInfer, testing::Values(DType::bf16, DType::f16),
                         [](const auto& which) { return std::string(name_of(which.param)); });

TEST(LossScale, IsOneNumberOfTheGradientsType) {
  const TensorDesc p{{2, 5}, kWide}, labels{{2}, DType::i32}, weights{{2}, kWide};
  EXPECT_THAT(output_types(OpKind::softmax_cross_entropy_backward, LossAttributes{}, {p, labels, weights, {{1}, kWide}}),
              ElementsAre(kWide));
  EXPECT_THAT(refusal(OpKind::softmax_cross_entropy_backward, LossAttributes{}, {p, labels, weights, {{2}, kWide}}),
              HasSubstr("loss scale"));
  EXPECT_THAT(refusal(OpKind::mean_squared_backward, LossAttributes{}, {p, p, weights, {{1}, DType::f64}}),
              HasSubstr("of one type"));
}

}  // namespace
}  // namespace convoy::test
