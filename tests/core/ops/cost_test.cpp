// Multiply-adds as the literature counts them, bytes as the operands weigh.
#include <gtest/gtest.h>

#include "core/ops/op.h"
#include "core/optim/scalars.h"

namespace convoy::test {
namespace {

TensorDesc real(Shape shape) { return {shape, DType::f64}; }

Cost cost(OpKind kind, const Attributes& attributes, const std::vector<TensorDesc>& inputs) {
  return cost_of(kind, attributes, inputs, op_def(kind).infer(attributes, inputs));
}

TEST(Cost, CountsMultiplyAddsAsTheLiterature) {
  // ResNet's conv1: 7x7/2, 3 -> 64 on 224x224; the three convolutions of a training step cost the same.
  const ConvAttributes conv1{.axes = 2,
                             .channels = 64,
                             .kernel = {7, 7},
                             .stride = {2, 2},
                             .pad_low = {3, 3},
                             .pad_high = {3, 3},
                             .bias = false};
  const TensorDesc x = real({1, 224, 224, 3}), filters = real({64, 7, 7, 3}), y = real({1, 112, 112, 64});
  const double expected = 112.0 * 112 * 64 * 7 * 7 * 3;
  EXPECT_EQ(cost(OpKind::conv, conv1, {x, filters}).multiply_adds, expected);
  EXPECT_EQ(
      cost(OpKind::conv_backward_data, ConvBackwardAttributes{conv1, x.shape}, {y, filters}).multiply_adds,
      expected);
  EXPECT_EQ(cost(OpKind::conv_backward_filters, ConvBackwardAttributes{conv1, x.shape}, {x, y}).multiply_adds,
            expected);
}

TEST(Cost, DividesMultiplyAddsByTheGroups) {
  const ConvAttributes depthwise{.axes = 2, .channels = 4, .kernel = {3, 3}, .groups = 4, .bias = false};
  EXPECT_EQ(cost(OpKind::conv, depthwise, {real({2, 5, 5, 4}), real({4, 3, 3, 1})}).multiply_adds,
            2 * 9 * 4 * 9);
}

TEST(Cost, OfADenseLayerAndItsGradientsIsOneProductEach) {
  const DenseAttributes a{.units = 10, .bias = false};
  EXPECT_EQ(cost(OpKind::dense, a, {real({8, 84}), real({10, 84})}).multiply_adds, 8 * 84 * 10);
  EXPECT_EQ(cost(OpKind::dense_backward_data, a, {real({8, 10}), real({10, 84})}).multiply_adds, 8 * 84 * 10);
  EXPECT_EQ(cost(OpKind::dense_backward_weights, a, {real({8, 84}), real({8, 10})}).multiply_adds, 8 * 84 * 10);
}

TEST(Cost, CountsEveryOperandOnceInBytes) {
  EXPECT_EQ(cost(OpKind::add, {}, {real({5}), real({5}), real({5})}).bytes, 4 * 5 * 8);
  EXPECT_EQ(cost(OpKind::reshape, ReshapeAttributes{{5, 1}}, {real({5})}).bytes, 0);
  const TensorDesc w = real({10});  // reads w, v, gradient, scalars; writes w, v
  EXPECT_EQ(cost(OpKind::weight_update, UpdateAttributes{}, {w, w, w, real({kStepScalars})}).bytes, 5 * 80 + 8 * kStepScalars);
}

}  // namespace
}  // namespace convoy::test
