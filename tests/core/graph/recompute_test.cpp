// Which activations are made again, where, and what that is worth.
#include "core/graph/recompute.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/graph/program.h"
#include "core/models/training.h"

namespace convoy {
namespace {

TrainingGraph training_of(const std::string& model, Recompute what, std::int64_t global = 0) {
  Task task;
  task.model = model;
  task.classes = 10;
  task.micro_batch = 4;
  task.image = {32, 32, 3};
  task.recompute = what;
  task.normalised_micro_batches = global;
  return build_training_graph(task, std::size_t{1} << 20);
}

std::size_t arena_bytes(const TrainingGraph& training) { return plan_memory(training.graph, training.leaves, {}).arena_bytes; }

double multiply_adds(const Graph& graph) {
  double sum = 0;
  for (const OpDesc& op : describe_ops(graph, {})) sum += cost_of(op.kind, op.attributes, op.inputs, op.outputs).multiply_adds;
  return sum;
}

/// Ops behind the first that makes a gradient and that make activations.
std::vector<std::size_t> copies(const Graph& graph) {
  std::vector<std::size_t> found;
  const auto role = [&](const Op& op) { return op.outputs.empty() ? Role::input : graph.info(op.outputs.front()).role; };
  bool backward = false;
  for (std::size_t index = 0; index < graph.ops().size(); ++index) {
    backward = backward || role(graph.ops()[index]) == Role::gradient;
    if (backward && role(graph.ops()[index]) == Role::activation) found.push_back(index);
  }
  return found;
}

TEST(Recompute, HalvesADenseNetsMemoryWithoutAMultiplication) {
  const TrainingGraph kept = training_of("densenet-bc-40-12", Recompute::off), made = training_of("densenet-bc-40-12", Recompute::cheap);
  EXPECT_LT(arena_bytes(made), arena_bytes(kept) / 2);
  EXPECT_EQ(multiply_adds(made.graph), multiply_adds(kept.graph));
  EXPECT_TRUE(copies(kept.graph).empty());
}

TEST(Recompute, MakesConcatenationsOfWhatLayersMadeNotOfConcatenations) {
  const TrainingGraph made = training_of("densenet-bc-40-12", Recompute::cheap);
  int found = 0;
  for (const std::size_t index : copies(made.graph)) {
    const Op& op = made.graph.ops()[index];
    if (op.kind != OpKind::concat) continue;
    ++found;
    for (Value input : op.inputs) {
      const int producer = made.graph.info(input).producer;
      const Op& maker = made.graph.ops()[static_cast<std::size_t>(producer)];
      EXPECT_TRUE(maker.kind != OpKind::concat || maker.inputs.size() == 2) << "a concatenation of concatenations";
    }
  }
  EXPECT_GT(found, 10);
}

/// Chen et al. 2016, section 4.1: memory of the order of the root of the depth, for one more forward pass.
TEST(Recompute, NeedsMemoryThatGrowsLikeTheRootOfTheDepth) {
  const auto bytes = [](const char* model, Recompute what) { return static_cast<double>(arena_bytes(training_of(model, what))); };
  EXPECT_GT(bytes("resnet-110", Recompute::off) / bytes("resnet-20", Recompute::off), 4);
  EXPECT_LT(bytes("resnet-110", Recompute::blocks) / bytes("resnet-20", Recompute::blocks), 3);
  EXPECT_LT(bytes("resnet-110", Recompute::blocks), bytes("resnet-110", Recompute::off) / 5);
}

TEST(Recompute, RepeatsLessThanOneForwardPass) {
  for (const char* model : {"resnet-56", "densenet-bc-40-12"}) {
    const double all = multiply_adds(training_of(model, Recompute::off).graph);
    const double more = multiply_adds(training_of(model, Recompute::blocks).graph);
    EXPECT_GT(more, 1.1 * all) << model;
    EXPECT_LT(more, 4.0 / 3 * all * 1.01) << model;  // a backward pass is two forward passes
  }
}

TEST(Recompute, RepeatsNoLossNoDataAndNoSumOverTheBatch) {
  for (const Recompute what : {Recompute::cheap, Recompute::blocks}) {
    const TrainingGraph kept = training_of("resnet-20", Recompute::off, 4), made = training_of("resnet-20", what, 4);
    for (const OpKind kind : {OpKind::prepare, OpKind::batch_norm_moments, OpKind::batch_sum, OpKind::softmax_cross_entropy,
                              OpKind::top_k, OpKind::external})
      EXPECT_EQ(count_ops(made.graph, kind), count_ops(kept.graph, kind)) << op_def(kind).name;
    EXPECT_GT(count_ops(made.graph, OpKind::batch_norm_global), count_ops(kept.graph, OpKind::batch_norm_global));
  }
}

TEST(Recompute, TakesStatisticsFromTheFirstTime) {
  const TrainingGraph made = training_of("resnet-20", Recompute::blocks);
  const auto first_copy = static_cast<int>(copies(made.graph).front());
  for (const RunningStatistic& statistic : made.graph.running_statistics())
    EXPECT_LT(made.graph.info(statistic.sample).producer, first_copy);
  std::set<int> read;
  for (const Op& op : made.graph.ops())
    for (Value input : op.inputs) read.insert(input.id);
  int norms = 0;
  for (const std::size_t index : copies(made.graph)) {
    const Op& op = made.graph.ops()[index];
    if (op.kind != OpKind::batch_norm) continue;
    ++norms;
    for (std::size_t i = 1; i < op.outputs.size(); ++i) EXPECT_FALSE(read.contains(op.outputs[i].id));
  }
  EXPECT_GT(norms, 0);
}

TEST(Recompute, PutsCopiesRightBeforeTheirFirstReader) {
  for (const Recompute what : {Recompute::cheap, Recompute::blocks}) {
    const Graph graph = training_of("densenet-bc-40-12", what).graph;
    const std::vector<std::size_t> all = copies(graph);
    const std::set<std::size_t> is_copy(all.begin(), all.end());
    for (const std::size_t index : all) {
      if (is_copy.contains(index + 1)) continue;
      const Op& reader = graph.ops().at(index + 1);  // the last of a row of copies is what the op behind them asked for
      const bool reads = std::any_of(reader.inputs.begin(), reader.inputs.end(), [&](Value input) {
        const std::vector<Value>& made = graph.ops()[index].outputs;
        return std::find(made.begin(), made.end(), input) != made.end();
      });
      EXPECT_TRUE(reads) << "op " << index;
    }
  }
}

TEST(Recompute, IsNoPartOfTheHashThatSaysWhatIsComputed) {
  const TrainingGraph kept = training_of("resnet-20", Recompute::off);
  EXPECT_EQ(kept.hash, graph_hash(kept.graph));
  for (const Recompute what : {Recompute::cheap, Recompute::blocks}) {
    const TrainingGraph made = training_of("resnet-20", what);
    EXPECT_EQ(made.hash, kept.hash);
    EXPECT_NE(graph_hash(made.graph), kept.hash);
  }
}

TEST(Recompute, LeavesAGraphThatWouldNotNeedLess) {
  Graph graph;
  graph.training = true;
  const Value x = graph.add_input("x", {2, 8, 8, 3}, DType::f32), weights = graph.add_input("w", {2}, DType::f32);
  const Value y = conv(graph, x, "c", {.channels = 3, .kernel = 3});
  std::vector<Value> leaves;
  for (const ParameterGradient& entry :
       differentiate(graph, graph.add_op(OpKind::mean_squared, LossAttributes{}, {y, x, weights})[0]))
    leaves.push_back(entry.gradient);
  remove_unused(graph, leaves);
  const std::string before = graph_hash(graph);
  for (const Recompute what : {Recompute::cheap, Recompute::blocks}) {
    recompute(graph, what, leaves);
    EXPECT_EQ(graph_hash(graph), before);
  }
}

TEST(MostLiveBytes, CountsAViewWithWhatItShows) {
  Graph graph;
  const Value x = graph.add_input("x", {4, 16}, DType::f32);  // 256 bytes
  const Value a = relu(graph, x);
  const Value view = graph.add(OpKind::reshape, ReshapeAttributes{{8, 8}}, {a});
  const Value b = relu(graph, view);
  EXPECT_EQ(most_live_bytes(graph, {}), 512U);
  EXPECT_EQ(most_live_bytes(graph, {b}), 256U);
}

}  // namespace
}  // namespace convoy
