#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

Task task_of(const std::string& model, DType compute, std::map<std::string, std::string> options = {}) {
  Task task;
  task.model = model;
  task.options = std::move(options);
  task.classes = 10;
  task.micro_batch = 16;
  task.image = model == "lenet-5" ? Shape{28, 28, 1} : Shape{32, 32, 3};
  task.compute = compute;
  return task;
}

int count(const Graph& graph, OpKind kind) {
  return static_cast<int>(std::count_if(graph.ops().begin(), graph.ops().end(),
                                        [&](const Op& op) { return op.kind == kind; }));
}

DType type_of(const Graph& graph, Value value) { return graph.info(value).desc.dtype; }

class LowerPrecision : public testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  const std::string model_ = std::get<0>(GetParam());
  const DType compute_ = std::get<1>(GetParam());
  const TrainingGraph training_ = build_training_graph(task_of(model_, compute_), 1 << 16);
  const Graph& graph_ = training_.graph;
};

TEST_P(LowerPrecision, GivesEveryOpTheTypesThatItTakesAndEveryValueTheTypeThatItsOpMakes) {
  for (const Op& op : graph_.ops()) {
    if (op.kind == OpKind::external) continue;
    std::vector<TensorDesc> operands;
    for (Value input : op.inputs) operands.push_back(graph_.info(input).desc);
    const std::vector<TensorDesc> results = op_def(op.kind).infer(op.attributes, operands);
    ASSERT_EQ(results.size(), op.outputs.size());
    for (std::size_t i = 0; i < results.size(); ++i)
      EXPECT_EQ(results[i], graph_.info(op.outputs[i]).desc) << op.layer << " " << op_def(op.kind).name;
  }
}

TEST_P(LowerPrecision, ComputesEveryLayerAndNormInTheNarrowType) {
  for (const Op& op : graph_.ops())
    switch (op.kind) {
      case OpKind::conv:
      case OpKind::conv_backward_data:
      case OpKind::conv_backward_filters:
      case OpKind::dense:
      case OpKind::dense_backward_data:
      case OpKind::dense_backward_weights:
        EXPECT_EQ(type_of(graph_, op.inputs[0]), compute_) << op.layer;
        EXPECT_EQ(type_of(graph_, op.inputs[1]), compute_) << op.layer;
        break;
      case OpKind::prepare:
        EXPECT_EQ(type_of(graph_, op.outputs[0]), compute_);
        break;
      case OpKind::batch_norm:
      case OpKind::batch_norm_backward:
        EXPECT_EQ(type_of(graph_, op.inputs[0]), compute_) << op.layer;
        break;
      default:
        break;
    }
}

TEST_P(LowerPrecision, LeavesTheLeavesAndParametersInF32WithTheirValues) {
  const TrainingGraph plain = build_training_graph(task_of(model_, DType::f32), 1 << 16);
  ASSERT_EQ(training_.leaves.size(), plain.leaves.size());
  for (std::size_t i = 0; i < plain.leaves.size(); ++i) {
    EXPECT_EQ(training_.leaves[i], plain.leaves[i]);
    EXPECT_EQ(graph_.info(training_.leaves[i]).desc, plain.graph.info(plain.leaves[i]).desc);
  }
  for (Value parameter : plain.graph.with_role(Role::parameter)) EXPECT_EQ(type_of(graph_, parameter), DType::f32);
  EXPECT_EQ(training_.buckets.elements, plain.buckets.elements);
}

TEST_P(LowerPrecision, CastsEachValueOncePerTypeAndBeforeItsFirstReader) {
  std::set<std::pair<int, DType>> seen;
  std::set<int> made;
  for (std::size_t id = 0; id < graph_.values().size(); ++id)
    if (graph_.values()[id].producer < 0) made.insert(static_cast<int>(id));
  for (std::size_t index = 0; index < graph_.ops().size(); ++index) {
    const Op& op = graph_.ops()[index];
    for (Value input : op.inputs) EXPECT_TRUE(made.contains(input.id)) << op.layer << " reads a value before it is made";
    for (Value output : op.outputs) {
      made.insert(output.id);
      EXPECT_EQ(graph_.info(output).producer, static_cast<int>(index));
    }
    if (op.kind != OpKind::cast) continue;
    EXPECT_TRUE(seen.emplace(op.inputs[0].id, type_of(graph_, op.outputs[0])).second) << op.layer << " is cast twice";
    EXPECT_NE(type_of(graph_, op.inputs[0]), type_of(graph_, op.outputs[0])) << op.layer;
  }
  EXPECT_GE(seen.size(), 1U);  // the logits
}

TEST_P(LowerPrecision, CastsNoParameterAndNoConstantInTheProgram) {
  for (const Op& op : graph_.ops()) {
    if (op.kind != OpKind::cast) continue;
    const Role role = graph_.info(op.inputs[0]).role;
    EXPECT_TRUE(role != Role::parameter && role != Role::constant) << graph_.info(op.inputs[0]).name;
  }
}

TEST_P(LowerPrecision, MakesOneCopyOfEachParameterThatALayerReads) {
  std::set<std::string> names;
  for (Value copy : graph_.with_role(Role::copy)) {
    const ValueInfo& info = graph_.info(copy);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(info.desc.dtype, compute_);
    const Value source = graph_.find(info.name);
    ASSERT_TRUE(source.exists()) << info.name;
    EXPECT_EQ(info.desc.shape, graph_.shape(source));
    EXPECT_EQ(graph_.copy_of(info.name), copy);
  }
  EXPECT_GE(names.size(), 2U);
}

TEST_P(LowerPrecision, LetsTheUpdateWriteTheCopies) {
  const UpdateGraph update = build_update_graph(graph_, training_.gradients, {}, 8,
                                                {.bucket_elements = training_.buckets.elements, .guard = {}});
  int copies = 0;
  for (const UpdateGraph::Parameter& parameter : update.parameters) {
    EXPECT_EQ(parameter.copy.exists(), graph_.copy_of(parameter.name).exists()) << parameter.name;
    copies += parameter.copy.exists();
    const Op& op = *std::find_if(update.graph.ops().begin(), update.graph.ops().end(), [&](const Op& each) {
      return each.kind == OpKind::weight_update && each.inputs[0] == parameter.weight;
    });
    ASSERT_EQ(op.inputs.size(), parameter.copy.exists() ? 5U : 4U);
    if (parameter.copy.exists()) {
      EXPECT_EQ(op.inputs[4], parameter.copy);
    }
  }
  EXPECT_GE(copies, 2);
}

TEST_P(LowerPrecision, ScalesTheLossInF16Alone) {
  EXPECT_EQ(training_.inputs.loss_scale.exists(), compute_ == DType::f16);
  const auto backward = std::find_if(graph_.ops().begin(), graph_.ops().end(), [](const Op& op) {
    return op.kind == OpKind::softmax_cross_entropy_backward;
  });
  ASSERT_NE(backward, graph_.ops().end());
  ASSERT_EQ(backward->inputs.size(), compute_ == DType::f16 ? 4U : 3U);
  if (compute_ == DType::f16) {
    EXPECT_EQ(backward->inputs[3], training_.inputs.loss_scale);
  }
}

TEST_P(LowerPrecision, HalvesTheActivations) {
  const auto bytes = [](const TrainingGraph& each) { return plan_memory(each.graph, each.leaves, {}).arena_bytes; };
  EXPECT_LT(bytes(training_), bytes(build_training_graph(task_of(model_, DType::f32), 1 << 16)) * 3 / 4);
}

TEST_P(LowerPrecision, FusesAsMuchAsInF32) {
  const TrainingGraph plain = build_training_graph(task_of(model_, DType::f32), 1 << 16);
  EXPECT_EQ(count(graph_, OpKind::activation), count(plain.graph, OpKind::activation));
}

TEST_P(LowerPrecision, ChangesTheHashOfTheGraph) {
  EXPECT_NE(graph_hash(graph_), graph_hash(build_training_graph(task_of(model_, DType::f32), 1 << 16).graph));
  EXPECT_EQ(graph_hash(graph_), graph_hash(build_training_graph(task_of(model_, compute_), 1 << 16).graph));
}

TEST_P(LowerPrecision, EvaluatesInTheSamePrecisionWithTheSameCopies) {
  const EvaluationGraph evaluation = build_evaluation_graph(task_of(model_, compute_));
  EXPECT_EQ(type_of(evaluation.graph, evaluation.probabilities), DType::f32);
  EXPECT_EQ(type_of(evaluation.graph, evaluation.sample_loss), DType::f32);
  EXPECT_FALSE(evaluation.inputs.loss_scale.exists());
  std::set<std::string> trained, evaluated;
  for (Value copy : graph_.with_role(Role::copy)) trained.insert(graph_.info(copy).name);
  for (Value copy : evaluation.graph.with_role(Role::copy)) evaluated.insert(evaluation.graph.info(copy).name);
  EXPECT_EQ(trained, evaluated);
}

INSTANTIATE_TEST_SUITE_P(
    Models, LowerPrecision,
    testing::Combine(testing::Values("mlp", "lenet-5", "resnet-20"), testing::Values(DType::bf16, DType::f16)),
    [](const auto& which) {
      std::string name = std::get<0>(which.param) + "_" + std::string(name_of(std::get<1>(which.param)));
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(LowerPrecisionPass, KeepsConnectionsInF32AndCastsWhatTheyMake) {
  const Graph graph = build_training_graph(task_of("lenet-5", DType::bf16), 1 << 16).graph;
  int scattered = 0;
  for (const Op& op : graph.ops())
    if (op.kind == OpKind::scatter_connections || op.kind == OpKind::gather_connections) {
      ++scattered;
      EXPECT_EQ(type_of(graph, op.inputs[0]), DType::f32);
      EXPECT_EQ(type_of(graph, op.outputs[0]), DType::f32);
    }
  EXPECT_EQ(scattered, 2);
}

TEST(LowerPrecisionPass, LeavesAGraphInF32AsItIs) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 4}, DType::f32);
  dense(graph, x, "fc", {.units = 4});
  const std::string before = graph_hash(graph);
  lower_precision(graph, DType::f32, {});
  EXPECT_EQ(graph_hash(graph), before);
}

TEST(LowerPrecisionPass, WidensALeafThatIsMadeInTheNarrowType) {
  Graph graph;
  const Value x = graph.add_input("x", {3, 4}, DType::f32);
  const Value y = dense(graph, x, "fc", {.units = 4});
  const Value z = relu(graph, y);
  lower_precision(graph, DType::bf16, {y});
  EXPECT_EQ(type_of(graph, y), DType::f32);
  EXPECT_EQ(graph.ops()[static_cast<std::size_t>(graph.info(y).producer)].kind, OpKind::cast);
  EXPECT_EQ(graph.ops()[static_cast<std::size_t>(graph.info(z).producer)].inputs[0], y);
}

TEST(LowerPrecisionPass, RefusesOtherTypes) {
  Graph in_double(DType::f64), graph;
  EXPECT_THROW(lower_precision(in_double, DType::bf16, {}), Error);
  EXPECT_THROW(lower_precision(graph, DType::i32, {}), Error);
}

}  // namespace
}  // namespace convoy
