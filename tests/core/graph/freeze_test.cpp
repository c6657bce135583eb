// Frozen layers: no gradient of theirs, none below the lowest that is trained, and batch normalisation by what it has.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/graph/layer_names.h"
#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "support/gradient_check.h"

namespace convoy {
namespace {

TEST(LayerNames, MatchWithStarsAndWithinScopes) {
  EXPECT_TRUE(matches_layer("conv1", "conv1"));
  EXPECT_FALSE(matches_layer("conv1", "conv10"));
  EXPECT_TRUE(matches_layer("conv*", "conv10"));
  EXPECT_TRUE(matches_layer("conv?", "conv1"));
  EXPECT_FALSE(matches_layer("conv?", "conv10"));
  EXPECT_TRUE(matches_layer("stage2", "stage2/block1/conv1"));
  EXPECT_TRUE(matches_layer("stage2/block1", "stage2/block1/conv1"));
  EXPECT_FALSE(matches_layer("stage2", "stage20/conv1"));
  EXPECT_FALSE(matches_layer("conv1", "stage2/block1/conv1"));
  EXPECT_TRUE(matches_layer("*conv1", "stage2/block1/conv1"));
  EXPECT_TRUE(matches_layer("*b*c*1", "stage2/block1/conv1"));
  EXPECT_FALSE(matches_layer("*b*d*1", "stage2/block1/conv1"));
  EXPECT_TRUE(matches_layer("*", "a"));
  EXPECT_FALSE(matches_layer("", "a"));
}

struct Net {
  Graph graph{DType::f64};
  std::vector<ParameterGradient> gradients;
  std::vector<std::string> trained() const {
    std::vector<std::string> names;
    for (const ParameterGradient& entry : gradients) names.push_back(graph.info(entry.parameter).name);
    return names;
  }
};

Net net_with(const std::vector<std::string>& frozen) {
  Net net;
  Graph& g = net.graph;
  g.frozen = frozen;
  Value x = g.add_input("x", {2, 4, 4, 3}, DType::f64);
  for (const char* number : {"1", "2"}) {
    x = conv(g, x, std::string("conv") + number, {.channels = 3, .kernel = 3, .bias = false});
    x = relu(g, batch_norm(g, x, std::string("bn") + number));
  }
  const Value y = dense(g, x, "fc", {.units = 2});
  const Value loss = g.add(OpKind::mean_squared, LossAttributes{},
                           {y, g.add_input("t", {2, 2}, DType::f64), g.add_input("w", {2}, DType::f64)});
  net.gradients = differentiate(g, loss);
  return net;
}

TEST(Freeze, LeavesTheParametersOfFrozenLayersWithoutGradients) {
  EXPECT_EQ(net_with({"bn1", "conv2"}).trained(),
            (std::vector<std::string>{"conv1/filters", "bn2/gamma", "bn2/beta", "fc/weights", "fc/bias"}));
}

TEST(Freeze, ComputesNothingBelowTheLowestLayerThatIsTrained) {
  const Net all = net_with({}), top = net_with({"conv*", "bn*"});
  EXPECT_EQ(count_ops(all.graph, OpKind::conv_backward_filters), 2);
  EXPECT_EQ(count_ops(top.graph, OpKind::conv_backward_filters), 0);
  EXPECT_EQ(count_ops(top.graph, OpKind::conv_backward_data), 0);
  EXPECT_EQ(count_ops(top.graph, OpKind::activation_backward), 0);
  EXPECT_EQ(count_ops(top.graph, OpKind::dense_backward_weights), 1);
  EXPECT_EQ(count_ops(net_with({"fc"}).graph, OpKind::conv_backward_filters), 2);
}

TEST(Freeze, PutsFrozenBatchNormInItsInferenceFormAndLeavesItsStatistics) {
  const Net net = net_with({"bn1"});
  EXPECT_EQ(count_ops(net.graph, OpKind::batch_norm), 1);
  EXPECT_EQ(count_ops(net.graph, OpKind::batch_norm_inference), 2);  // forward, and its gradient
  ASSERT_EQ(net.graph.running_statistics().size(), 2u);
  for (const RunningStatistic& statistic : net.graph.running_statistics())
    EXPECT_TRUE(net.graph.info(statistic.running).name.starts_with("bn2/"));
}

}  // namespace
}  // namespace convoy
