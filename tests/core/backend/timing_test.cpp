// Timing ops, measuring limits, and what a program costs at them.
#include "core/backend/timing.h"

#include <gtest/gtest.h>

#include "core/graph/op_groups.h"
#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "core/tensor/error.h"
#include "support/emulated_cuda.h"

namespace convoy {
namespace {

constexpr TimingOptions kQuick{.threads = 1, .repetitions = 3, .least_seconds = 1e-4};

OpDesc dense(std::int64_t rows, std::int64_t features, std::int64_t units) {
  OpDesc op{OpKind::dense, DenseAttributes{.units = units, .bias = false}, {}, {}, {}};
  op.inputs = {{Shape{rows, features}, DType::f32}, {Shape{units, features}, DType::f32}};
  op.outputs = op_def(op.kind).infer(op.attributes, op.inputs);
  return op;
}

TrainingGraph training_graph(const std::string& model) {
  Task task;
  task.model = model;
  task.classes = 10;
  task.micro_batch = 4;
  task.image = {28, 28, 1};
  return build_training_graph(task, std::size_t{4} << 20);
}

GuardOptions guard_of(const TrainingGraph& training) { return {.bucket_elements = training.buckets.elements, .guard = {}}; }

TEST(Timing, OrdersItsMeasurements) {
  const auto backend = make_cpu_backend();
  const OpDesc op = dense(64, 64, 64);
  const Timing timing = time_ops(*backend, {&op, 1}, kQuick);
  EXPECT_GT(timing.least, 0);
  EXPECT_LE(timing.least, timing.median);
  EXPECT_LE(timing.median, timing.most);
  EXPECT_FALSE(timing.implementation.empty());
}

TEST(Timing, SaysWhyABackendDeclines) {
  OpDesc op = dense(8, 8, 8);
  op.inputs[0].dtype = DType::f64;   // the cpu backend computes in f32
  const auto backend = make_cpu_backend();
  EXPECT_THROW(time_ops(*backend, {&op, 1}, kQuick), UsageError);
}

TEST(Timing, RunsEveryOpOfTheNetworks) {
  const auto backend = make_cpu_backend();
  for (const char* model : {"lenet-5", "resnet-20", "mlp"}) {
    const TrainingGraph training = training_graph(model);
    const UpdateGraph update = build_update_graph(training.graph, training.gradients, {}, 1, guard_of(training));
    auto groups = group_ops(training.graph, *backend, {.outside = training.leaves});
    for (OpGroup& group : group_ops(update.graph, *backend, {})) groups.push_back(std::move(group));
    for (const OpGroup& group : groups)
      EXPECT_GT(time_ops(*backend, group.ops, {.repetitions = 1, .least_seconds = 0}).median, 0)
          << model << ": " << op_def(group.ops.front().kind).name << " of " << group.layer;
  }
}

TEST(Timing, RunsKernelsOfADeviceThatLagsBehind) {
  const auto backend = test::make_emulated_cuda_backend();
  OpDesc sum{OpKind::add, {}, {{Shape{1000}, DType::f32}, {Shape{1000}, DType::f32}}, {}, {}};
  sum.outputs = op_def(sum.kind).infer(sum.attributes, sum.inputs);
  const Timing timing = time_ops(*backend, {&sum, 1}, {.repetitions = 3, .least_seconds = 0});
  EXPECT_GT(timing.least, 0);
  const TrainingGraph training = training_graph("lenet-5");
  const UpdateGraph update = build_update_graph(training.graph, training.gradients, {}, 1, guard_of(training));
  for (const OpGroup& group : group_ops(update.graph, *backend, {}))
    EXPECT_GT(time_ops(*backend, group.ops, {.repetitions = 1, .least_seconds = 0}).median, 0)
        << op_def(group.ops.front().kind).name;
}

TEST(Limits, AreThoseOfTheTypesAskedFor) {
  const auto backend = make_cpu_backend();
  const DType types[] = {DType::f32};
  const Limits limits = measure_limits(*backend, types, kQuick);
  ASSERT_EQ(limits.multiply_adds_per_second.size(), 1u);
  EXPECT_GT(limits.multiply_adds_per_second.at(DType::f32), 1e8);
  EXPECT_GT(limits.bytes_per_second, 1e8);
}

TEST(Limits, TakeTheLongerOfArithmeticAndTraffic) {
  const Limits limits{{{DType::f32, 100}}, 10};
  EXPECT_EQ(least_seconds({.multiply_adds = 1000, .bytes = 20}, DType::f32, limits), 10);
  EXPECT_EQ(least_seconds({.multiply_adds = 100, .bytes = 20}, DType::f32, limits), 2);
  EXPECT_EQ(least_seconds({.multiply_adds = 0, .bytes = 20}, DType::f32, limits), 2);
}

TEST(OpGroups, CountEveryKernelOnce) {
  const auto backend = make_cpu_backend();
  const TrainingGraph training = training_graph("resnet-20");
  int kernels = 0, counted = 0, convolutions = 0;
  for (const Op& op : training.graph.ops()) kernels += needs_kernel(op.kind);
  for (const OpGroup& group : group_ops(training.graph, *backend, {.outside = training.leaves})) {
    counted += group.count;
    if (group.ops.front().kind == OpKind::conv) convolutions += group.count;
  }
  EXPECT_EQ(counted, kernels);
  EXPECT_EQ(convolutions, 19);   // the first, and six in each of three stages
}

TEST(OpGroups, CeilingIsTheSumOverKernels) {
  const auto backend = make_cpu_backend();
  const TrainingGraph training = training_graph("lenet-5");
  const auto groups = group_ops(training.graph, *backend, {.outside = training.leaves});
  const Limits no_arithmetic{{}, 1};
  double bytes = 0;
  const auto descs = describe_ops(training.graph, {.outside = training.leaves});
  for (const OpDesc& op : descs) {
    bytes += cost_of(op.kind, op.attributes, op.inputs, op.outputs).bytes;
    for (std::size_t i = 0; i < op.outputs.size(); ++i)
      if (!op.wanted[i] && needs_kernel(op.kind))
        bytes -= static_cast<double>(op.outputs[i].shape.elements() * static_cast<std::int64_t>(size_of(op.outputs[i].dtype)));
  }
  EXPECT_DOUBLE_EQ(ceiling_seconds(groups, no_arithmetic), bytes);
  EXPECT_EQ(product_types(groups), std::set<DType>{DType::f32});
}

}  // namespace
}  // namespace convoy
