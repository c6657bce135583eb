// Sums, products, channel ops, reshapes, connections: linear and bilinear ops, and values used more than once.
#include <gtest/gtest.h>

#include "core/graph/layers.h"
#include "support/gradient_check.h"

namespace convoy::test {
namespace {

TEST(AddGradient, ReachesEveryTerm) {
  expect_gradients([](Graph& graph) {
    return add(graph, {graph.add_parameter("a", {2, 3}, {}), graph.add_parameter("b", {2, 3}, {}),
                       graph.add_parameter("c", {2, 3}, {})});
  });
}

TEST(MultiplyGradient, ReachesBothFactors) {
  expect_gradients([](Graph& graph) {
    return multiply(graph, graph.add_parameter("a", {2, 3, 2}, {}), graph.add_parameter("b", {2, 3, 2}, {}));
  });
}

TEST(MultiplyGradient, OfASquareIsTheSumOverBothUses) {
  expect_gradients([](Graph& graph) {
    const Value x = graph.add_parameter("x", {2, 3}, {});
    return multiply(graph, x, x);
  });
}

TEST(BranchGradient, IsTheSumOverAllUses) {
  expect_gradients([](Graph& graph) {
    const Value x = graph.add_parameter("x", {2, 4}, {});
    const Value y = activation(graph, x, ActivationKind::tanh);
    const Value left = activation(graph, y, ActivationKind::sigmoid);
    const Value right = multiply(graph, y, x);
    return add(graph, {left, right, y, x});
  });
}

TEST(ChannelAffineGradient, ReachesInputGainAndBias) {
  for (const Shape& x : {Shape{4, 3}, Shape{2, 3, 3}, Shape{2, 2, 3, 3}})
    expect_gradients(
        [&](Graph& graph) { return channel_affine(graph, graph.add_parameter("x", x, {}), "s", {}); });
}

TEST(ConcatGradient, GivesEachPartItsChannels) {
  expect_gradients([](Graph& graph) {
    return concat(graph, {graph.add_parameter("a", {2, 2, 1}, {}), graph.add_parameter("b", {2, 2, 3}, {}),
                          graph.add_parameter("c", {2, 2, 2}, {})});
  });
}

TEST(SliceGradient, IsZeroOutsideTheSlice) {
  expect_gradients([](Graph& graph) {
    return slice_channels(graph, graph.add_parameter("x", {2, 3, 5}, {}), 1, 3);
  });
}

TEST(PadChannelsGradient, DropsTheZeros) {
  expect_gradients([](Graph& graph) {
    return pad_channels(graph, graph.add_parameter("x", {2, 3, 2}, {}), 1, 5);
  });
}

TEST(ReshapeGradient, HasTheInputsShape) {
  expect_gradients([](Graph& graph) {
    const Value x = activation(graph, graph.add_parameter("x", {2, 3, 2}, {}), ActivationKind::tanh);
    return flatten(graph, x);
  });
}

TEST(ConnectionsGradient, ScatterAndGatherAreEachOthersReverse) {
  const ConnectionsAttributes links{3, 2, {{0, 0}, {0, 1}, {1, 1}, {2, 0}}};
  expect_gradients([&](Graph& graph) {
    return graph.add(OpKind::scatter_connections, links, {graph.add_parameter("compact", {4, 2, 3}, {})});
  });
  expect_gradients([&](Graph& graph) {
    return graph.add(OpKind::gather_connections, links, {graph.add_parameter("filters", {3, 2, 3, 2}, {})});
  });
}

TEST(ConnectionsGradient, FlowsThroughTheConvolutionThatUsesTheFilters) {
  const ConnectionsAttributes links{3, 2, {{0, 0}, {1, 0}, {1, 1}, {2, 1}}};
  expect_gradients([&](Graph& graph) {
    const Value compact = graph.add_parameter("compact", {4, 2, 2}, {});
    const Value filters = graph.add(OpKind::scatter_connections, links, {compact});
    return conv_with(graph, graph.add_parameter("x", {2, 3, 4, 2}, {}), filters, "c3",
                     {.channels = 3, .kernel = 2, .padding = PadRule::valid});
  });
}

}  // namespace
}  // namespace convoy::test
