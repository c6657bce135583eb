#include <gtest/gtest.h>

#include <algorithm>

#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/models/training.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

int count(const Graph& graph, OpKind kind) {
  return static_cast<int>(std::count_if(graph.ops().begin(), graph.ops().end(),
                                        [&](const Op& op) { return op.kind == kind; }));
}

TEST(Fuse, LetsAConvolutionTakeOverTheReluThatAloneReadsIt) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 8, 8, 3}, DType::f32);
  const Value y = relu(graph, conv(graph, x, "c", {.channels = 4, .kernel = 3}));
  fuse(graph);
  ASSERT_EQ(graph.ops().size(), 1U);
  EXPECT_EQ(graph.ops()[0].as<ConvAttributes>().activation, ActivationKind::relu);
  EXPECT_EQ(graph.ops()[0].outputs.front(), y);
  EXPECT_EQ(graph.info(y).producer, 0);
}

TEST(Fuse, LeavesAReluWhoseInputIsReadTwice) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 8, 8, 3}, DType::f32);
  const Value c = conv(graph, x, "c", {.channels = 4, .kernel = 3});
  add(graph, {relu(graph, c), c});
  fuse(graph);
  ASSERT_EQ(graph.ops().size(), 2U);  // ReLU and sum are a chain
  EXPECT_EQ(graph.ops()[0].as<ConvAttributes>().activation, ActivationKind::none);
  EXPECT_EQ(graph.ops()[1].kind, OpKind::elementwise_chain);
}

TEST(Fuse, LeavesOtherActivations) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 8, 8, 3}, DType::f32);
  activation(graph, conv(graph, x, "c", {.channels = 4, .kernel = 3}), ActivationKind::tanh);
  fuse(graph);
  EXPECT_EQ(graph.ops().size(), 2U);
}

const Op& op_of(const Graph& graph, Value value) {
  return graph.ops()[static_cast<std::size_t>(graph.info(value).producer)];
}

TEST(Fuse, LetsABatchNormTakeOverTheSumAndTheReluBehindIt) {
  for (const bool training : {true, false}) {
    Graph graph;
    graph.training = training;
    const Value x = graph.add_input("x", {2, 4, 4, 3}, DType::f32), other = graph.add_input("other", {2, 4, 4, 3}, DType::f32);
    const Value first = relu(graph, add(graph, {batch_norm(graph, x, "a"), other}));
    const Value second = relu(graph, add(graph, {first, batch_norm(graph, x, "b")}));
    fuse(graph);
    ASSERT_EQ(graph.ops().size(), 2U);
    for (const auto& [y, residual] : {std::pair(first, other), std::pair(second, first)}) {
      const Op& op = op_of(graph, y);
      EXPECT_TRUE(op.as<BatchNormAttributes>().residual);
      EXPECT_EQ(op.as<BatchNormAttributes>().activation, ActivationKind::relu);
      EXPECT_EQ(op.inputs.back(), residual);
      EXPECT_EQ(op.inputs.size(), training ? 4U : 6U);
    }
  }
}

TEST(Fuse, LetsTheLaterOfTwoBatchNormsTakeOverTheirSum) {
  for (const bool swapped : {false, true}) {
    Graph graph;
    graph.training = true;
    const Value x = graph.add_input("x", {2, 4, 4, 3}, DType::f32);
    const Value early = batch_norm(graph, x, "early"), late = batch_norm(graph, x, "late");
    const Value y = relu(graph, swapped ? add(graph, {late, early}) : add(graph, {early, late}));
    fuse(graph);
    ASSERT_EQ(graph.ops().size(), 2U);
    EXPECT_EQ(graph.info(y).producer, 1);
    EXPECT_EQ(op_of(graph, y).inputs.back(), early);
    EXPECT_FALSE(graph.ops()[0].as<BatchNormAttributes>().residual);
  }
}

TEST(Fuse, LeavesASumThatIsReadTwiceOrHasThreeTermsOrComesTooLate) {
  Graph graph;
  graph.training = true;
  const Value x = graph.add_input("x", {2, 4, 4, 3}, DType::f32);
  const Value sum = add(graph, {batch_norm(graph, x, "a"), x});
  add(graph, {relu(graph, sum), sum});
  relu(graph, add(graph, {batch_norm(graph, x, "b"), x, x}));
  const Value early = batch_norm(graph, x, "c");
  relu(graph, add(graph, {early, activation(graph, x, ActivationKind::tanh)}));
  fuse(graph);
  EXPECT_EQ(graph.ops().size(), 6U);
  EXPECT_EQ(count(graph, OpKind::elementwise_chain), 3);  // in which the sums and ReLUs are
  for (const Op& op : graph.ops()) {
    if (op.kind != OpKind::batch_norm) continue;
    EXPECT_EQ(op.as<BatchNormAttributes>().activation, ActivationKind::none);
    EXPECT_FALSE(op.as<BatchNormAttributes>().residual);
  }
}

TEST(Fuse, LetsBatchNormMaskTheGradientForOthersOnlyWhereThereAreOthers) {
  Graph graph;
  graph.training = true;
  const Value x = graph.add_parameter("x", {2, 4, 4, 3}, {});
  const Value inner = relu(graph, batch_norm(graph, x, "inner"));
  const Value y = relu(graph, add(graph, {batch_norm(graph, inner, "outer"), inner}));
  const Value target = graph.add_input("target", {2, 4, 4, 3}, DType::f32), weights = graph.add_input("w", {2}, DType::f32);
  differentiate(graph, graph.add_op(OpKind::mean_squared, LossAttributes{}, {y, target, weights})[0]);
  fuse(graph);
  EXPECT_EQ(count(graph, OpKind::activation_backward), 0);
  std::vector<std::size_t> outputs;
  for (const Op& op : graph.ops())
    if (op.kind == OpKind::batch_norm_backward) {
      EXPECT_EQ(op.as<BatchNormAttributes>().activation, ActivationKind::relu);
      EXPECT_EQ(op.inputs.size(), 6U);
      outputs.push_back(op.outputs.size());
    }
  EXPECT_EQ(outputs, (std::vector<std::size_t>{4, 3}));
}

TEST(Fuse, LeavesNoPlaceInTheArenaToWhatNoOpMakesAnyLonger) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 8, 8, 3}, DType::f32);
  const Value c = conv(graph, x, "c", {.channels = 4, .kernel = 3});
  relu(graph, c);
  fuse(graph);
  EXPECT_EQ(graph.info(c).producer, -1);
}

TEST(RemoveUnused, KeepsWhatIsAskedForAndWhatActsBySideEffect) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 8, 8, 3}, DType::f32);
  const Value kept = relu(graph, x);
  relu(graph, kept);
  graph.add_op(OpKind::external, ExternalAttributes{"here", 0}, {});
  remove_unused(graph, {kept});
  EXPECT_EQ(count(graph, OpKind::activation), 1);
  EXPECT_EQ(count(graph, OpKind::external), 1);
}

Task small_task(const std::string& model) {
  Task task;
  task.model = model;
  task.classes = 10;
  task.micro_batch = 2;
  task.image = Shape{28, 28, 1};
  return task;
}

TEST(PlaceCommunication, SendsEveryLeafExactlyOnceWithoutOverlap) {
  for (std::size_t bucket_bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{1} << 30}) {
    const TrainingGraph training = build_training_graph(small_task("resnet-20"), bucket_bytes);
    std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> ranges(
        static_cast<std::size_t>(training.buckets.buckets()));
    for (Value leaf : training.leaves) {
      const LeafSlot& slot = training.buckets.slot_of(leaf);
      ranges[static_cast<std::size_t>(slot.bucket)].emplace_back(slot.offset,
                                                                 slot.offset + training.graph.shape(leaf).elements());
    }
    for (std::size_t bucket = 0; bucket < ranges.size(); ++bucket) {
      std::sort(ranges[bucket].begin(), ranges[bucket].end());
      for (std::size_t i = 1; i < ranges[bucket].size(); ++i)
        EXPECT_LE(ranges[bucket][i - 1].second, ranges[bucket][i].first);
      EXPECT_LE(ranges[bucket].back().second, training.buckets.elements[bucket]);
    }
    EXPECT_EQ(count(training.graph, OpKind::external), training.buckets.buckets());
  }
}

TEST(PlaceCommunication, KeepsLossCountsAndStatisticsOutOfRoundedBuckets) {
  for (std::size_t bucket_bytes : {std::size_t{1} << 12, std::size_t{1} << 30}) {
    const TrainingGraph training = build_training_graph(small_task("resnet-20"), bucket_bytes, SumRounding::bf16);
    const auto rounding_of = [&](Value leaf) {
      return training.buckets.rounding[static_cast<std::size_t>(training.buckets.slot_of(leaf).bucket)];
    };
    for (const ParameterGradient& entry : training.gradients) EXPECT_EQ(rounding_of(entry.gradient), SumRounding::bf16);
    for (Value leaf : {training.loss, training.weight, training.top1, training.top5})
      EXPECT_EQ(rounding_of(leaf), SumRounding::none);
    ASSERT_FALSE(training.graph.running_statistics().empty());
    for (const RunningStatistic& statistic : training.graph.running_statistics())
      EXPECT_EQ(rounding_of(statistic.sample), SumRounding::none);
  }
}

TEST(PlaceCommunication, SendsABucketRightAfterTheOpThatCompletesIt) {
  const TrainingGraph training = build_training_graph(small_task("lenet-5"), 1);
  const auto& ops = training.graph.ops();
  for (std::size_t index = 0; index < ops.size(); ++index) {
    if (ops[index].kind != OpKind::external) continue;
    int latest = -1;
    for (Value input : ops[index].inputs) latest = std::max(latest, training.graph.info(input).producer);
    ASSERT_GE(latest, 0);
    for (auto between = static_cast<std::size_t>(latest) + 1; between < index; ++between)
      EXPECT_EQ(ops[between].kind, OpKind::external);
  }
}

TEST(PlaceCommunication, LetsTheFirstBucketLeaveWhileBackwardStillRuns) {
  const TrainingGraph training = build_training_graph(small_task("resnet-20"), 1 << 16);
  ASSERT_GT(training.buckets.buckets(), 2);
  const auto& ops = training.graph.ops();
  const auto first = std::find_if(ops.begin(), ops.end(), [](const Op& op) { return op.kind == OpKind::external; });
  const auto later = std::count_if(first, ops.end(), [](const Op& op) { return op.kind == OpKind::conv_backward_filters; });
  EXPECT_GT(later, 5);
}

TEST(Graph, NamesTheLayerWhereTheArithmeticBreaks) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 3, 3, 1}, DType::f32);
  try {
    conv(graph, x, "deep", {.channels = 4, .kernel = 5, .padding = PadRule::valid});
    FAIL() << "a 5x5 kernel fits into no 3x3 image";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("deep"), std::string::npos) << error.what();
  }
}

TEST(Graph, RefusesTwoParametersOfOneName) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 4}, DType::f32);
  dense(graph, x, "fc", {.units = 4});
  EXPECT_THROW(dense(graph, x, "fc", {.units = 4}), UsageError);
}

TEST(GraphHash, ChangesWithAnAttributeAndNothingElse) {
  const auto hash = [](double rate) {
    Graph graph;
    const Value x = graph.add_input("x", {1, 4}, DType::f32);
    dropout(graph, x, "d", rate);
    return graph_hash(graph);
  };
  EXPECT_EQ(hash(0.5), hash(0.5));
  EXPECT_NE(hash(0.5), hash(0.25));
}

}  // namespace
}  // namespace convoy
