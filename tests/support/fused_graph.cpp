#include "support/fused_graph.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "support/network.h"

namespace convoy::test {
namespace {

constexpr std::int64_t kClasses = 3;

Value conv_norm(Graph& graph, Value x, std::string_view name, std::int64_t channels, std::int64_t kernel, std::int64_t stride) {
  const Graph::Scope scope(graph, name);
  return batch_norm(graph, conv(graph, x, "conv", {.channels = channels, .kernel = kernel, .stride = stride, .bias = false}), "norm");
}

/// He et al. 2016: an identity shortcut, then projections that stand before and behind the block's own branch.
Network residual_blocks(DType real) {
  Network net{Graph(real), {}};
  Graph& graph = net.graph;
  graph.training = true;
  const Value x = graph.add_input("x", {4, 9, 7, 3}, real);
  const Value labels = graph.add_input("labels", {4}, DType::i32), weights = graph.add_input("weights", {4}, real);
  Value y = relu(graph, conv_norm(graph, x, "stem", 5, 3, 1));
  y = relu(graph, add(graph, {conv_norm(graph, relu(graph, conv_norm(graph, y, "a1", 5, 3, 1)), "a2", 5, 3, 1), y}));
  Value shortcut = conv_norm(graph, y, "b0", 8, 1, 2);
  y = relu(graph, add(graph, {conv_norm(graph, relu(graph, conv_norm(graph, y, "b1", 8, 3, 2)), "b2", 8, 3, 1), shortcut}));
  Value branch = conv_norm(graph, relu(graph, conv_norm(graph, y, "c1", 8, 3, 1)), "c2", 8, 3, 1);
  y = relu(graph, add(graph, {branch, conv_norm(graph, y, "c0", 8, 1, 1)}));
  const Value logits = dense(graph, global_pool(graph, y), "fc", {.units = kClasses});
  const Value loss = graph.add_op(OpKind::softmax_cross_entropy, LossAttributes{}, {logits, labels, weights})[0];
  net.leaves.push_back(loss);
  for (const ParameterGradient& entry : differentiate(graph, loss)) net.leaves.push_back(entry.gradient);
  for (const RunningStatistic& statistic : graph.running_statistics()) net.leaves.push_back(statistic.sample);
  remove_unused(graph, net.leaves);
  return net;
}

}  // namespace

void expect_same_bits_fused(const Backend& backend, DType real) {
  const Network single = residual_blocks(real);
  Network fused = single;
  fuse(fused.graph);
  ASSERT_EQ(single.graph.ops().size() - fused.graph.ops().size(), 17U)
      << "7 ReLUs, their 7 backward ops and 3 sums were to be fused";
  const auto expected = run_network(backend, single), found = run_network(backend, fused);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(expected[i], found[i]) << "leaf " << i << " (the loss, then gradients and statistics in the order of the graph)";
}

}  // namespace convoy::test
