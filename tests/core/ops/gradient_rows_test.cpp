// Local response and layer normalisation, resampling, gates, PReLU, paths, smoothed labels.
#include <gtest/gtest.h>

#include "core/graph/layers.h"
#include "support/gradient_check.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

TEST(LocalResponseGradient, AgreesForEverySizeOfTheNeighbourhood) {
  for (const LocalResponseAttributes& a :
       {LocalResponseAttributes{.alpha = 0.5}, {.size = 1, .alpha = 1, .beta = 0.5, .k = 1}, {.size = 3, .alpha = 0.3, .beta = 2, .k = 1.5},
        {.size = 11, .alpha = 0.2, .beta = 0.75, .k = 1}}) {
    SCOPED_TRACE(a.size);
    for (const Shape& x : {Shape{3, 6}, Shape{2, 2, 2, 7}})
      expect_gradients([&](Graph& graph) { return local_response(graph, graph.add_parameter("x", x, {}), a); });
  }
}

TEST(LayerNormGradient, ReachesInputGainAndBias) {
  for (const bool whole : {false, true})
    for (const Shape& x : {Shape{4, 5}, Shape{2, 3, 2, 4}})
      expect_gradients(
          [&](Graph& graph) { return layer_norm(graph, graph.add_parameter("x", x, {}), "norm", 1e-3, whole); });
}

TEST(ResampleGradient, AgreesForEveryNumberOfAxes) {
  for (const bool linear : {false, true}) {
    const auto check = [&](const Shape& x, Axes size) {
      expect_gradients([&](Graph& graph) { return resample(graph, graph.add_parameter("x", x, {}), size, linear); });
    };
    check({2, 4, 2}, 7);
    check({1, 3, 4, 2}, {6, 8});
    check({1, 5, 6, 1}, {5, 7});
    check({1, 2, 3, 2, 2}, {4, 5, 3});
  }
}

TEST(GateGradient, ReachesAllThree) {
  expect_gradients([](Graph& graph) {
    const Value t = activation(graph, graph.add_parameter("t", {3, 4}, {}), ActivationKind::sigmoid);
    return gate(graph, t, graph.add_parameter("y", {3, 4}, {}), graph.add_parameter("x", {3, 4}, {}));
  });
}

TEST(PreluGradient, ReachesInputAndSlopes) {
  expect_gradients([](Graph& graph) { return prelu(graph, graph.add_parameter("x", {2, 3, 4}, {}), "act"); }, {.distinct = true});
}

TEST(SeparableConvGradient, ReachesBothLayers) {
  expect_gradients([](Graph& graph) {
    return separable_conv(graph, graph.add_parameter("x", {2, 4, 4, 3}, {}), "conv", {.channels = 4, .kernel = 3, .stride = 2}, 2);
  });
}

TEST(PathGradient, FlowsThroughThePathsThatAreTaken) {
  const Tensor keys = keys_of({{0, 17}, {3, 5}, {3, 6}, {3, 7}});
  expect_gradients(
      [](Graph& graph) {
        graph.add_input("keys", {4, 2}, DType::u64);
        return join(graph, {graph.add_parameter("a", {4, 3}, {}), graph.add_parameter("b", {4, 3}, {}),
                            drop_path(graph, graph.add_parameter("c", {4, 3}, {}), "drop", 0.4)}, "join",
                    {.rate = 0.3, .global = 0.5, .columns = 4});
      },
      {.given = {{"keys", keys}}});
}

TEST(SmoothedLossGradient, Agrees) {
  expect_gradients(
      [](Graph& graph) {
        const Value labels = graph.add_input("labels", {3}, DType::i32), weights = graph.add_input("weights", {3}, DType::f64);
        return graph.add(OpKind::softmax_cross_entropy, LossAttributes{.scale = 1.5, .smoothing = 0.2},
                         {graph.add_parameter("logits", {3, 4}, {}), labels, weights});
      },
      {.returns_loss = true, .given = {{"labels", integers_of({3}, {0, 3, 1})}, {"weights", tensor_of({3}, {1, 0.25, 2})}}});
}

}  // namespace
}  // namespace convoy::test
