// Whole networks: rules, sums at branches and the memory plan together.
#include <gtest/gtest.h>

#include "core/graph/layers.h"
#include "support/gradient_check.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

Value classify(Graph& graph, Value x, int classes) {
  x = dropout(graph, global_pool(graph, x), "drop", 0.25);
  const Value logits = dense(graph, x, "logits", {.units = classes});
  const Value labels = graph.add_input("labels", {2}, DType::i32);
  const Value weights = graph.add_input("weights", {2}, DType::f64);
  return graph.add(OpKind::softmax_cross_entropy, LossAttributes{}, {logits, labels, weights});
}

GradientCheck of_a_batch_of_two() {
  return {.returns_loss = true,
          .given = {{"labels", integers_of({2}, {2, 0})},
                    {"weights", tensor_of({2}, {1, 0.5})},
                    {"keys", keys_of({{1, 40}, {1, 41}})}}};
}

TEST(NetworkGradient, AgreesForAResidualNetworkWithPaddedShortcut) {
  GradientCheck check = of_a_batch_of_two();
  check.given["norm1/gamma"] = tensor_of({2}, {1, -1.5});  // so that neither ReLU is dead
  check.given["norm1/beta"] = tensor_of({2}, {0.3, 0.2});
  expect_gradients(
      [](Graph& graph) {
        Value x = graph.add_parameter("image", {2, 6, 5, 2}, {});
        x = relu(graph, batch_norm(graph, conv(graph, x, "conv1", {.channels = 2, .kernel = 3, .bias = false}),
                                   "norm1"));
        const Value shortcut = pad_channels(graph, x, 1, 4);
        Value y = conv(graph, x, "conv2", {.channels = 4, .kernel = {3, 1}, .groups = 2, .bias = false});
        y = batch_norm(graph, y, "norm2");
        x = relu(graph, add(graph, {shortcut, y}));
        return classify(graph, x, 3);
      },
      check);
}

TEST(NetworkGradient, AgreesForBranchesOfThreeAxesThatMeetInAConcat) {
  expect_gradients(
      [](Graph& graph) {
        const Value x = graph.add_parameter("volume", {2, 3, 4, 3, 2}, {});
        const Value narrow = conv(graph, x, "narrow", {.channels = 2, .kernel = 1});
        const Value wide = conv(graph, x, "wide", {.channels = 2, .kernel = 3, .pad_mode = PadMode::reflect});
        const Value pooled = pool(graph, x, {.kernel = 3, .stride = 1, .pad_low = 1, .pad_high = 1});
        Value y = concat(graph, {narrow, activation(graph, wide, ActivationKind::tanh), pooled});
        y = channel_affine(graph, y, "scale", {Initializer::Kind::constant, 1});
        return classify(graph, y, 3);
      },
      of_a_batch_of_two());
}

}  // namespace
}  // namespace convoy::test
