// Dense layers, pooling, activations, batch normalisation and dropout.
#include <gtest/gtest.h>

#include "core/graph/layers.h"
#include "support/gradient_check.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

TEST(DenseGradient, AgreesWithAndWithoutBias) {
  for (bool bias : {true, false})
    expect_gradients([&](Graph& graph) {
      std::vector<Value> inputs{graph.add_parameter("x", {3, 5}, {}),
                                graph.add_parameter("weights", {4, 5}, {})};
      if (bias) inputs.push_back(graph.add_parameter("bias", {4}, {}));
      return graph.add(OpKind::dense, DenseAttributes{.units = 4, .bias = bias}, inputs);
    });
}

void check_pool(const PoolAttributes& a, const Shape& x) {
  SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(a.kind) << ", x " << x.str() << ", global "
                                  << a.global << ", kernel " << a.kernel[0] << " " << a.kernel[1] << " "
                                  << a.kernel[2] << ", stride " << a.stride[0] << " " << a.stride[1] << ", pad "
                                  << a.pad_low[0] << "+" << a.pad_high[0] << ", ceil " << a.ceil
                                  << ", count padding " << a.count_padding);
  expect_gradients([&](Graph& graph) { return graph.add(OpKind::pool, a, {graph.add_parameter("x", x, {})}); },
                   {.distinct = true});
}

constexpr PoolKind kPools[] = {PoolKind::max, PoolKind::min, PoolKind::average};

TEST(PoolGradient, AgreesForDisjointAndOverlappingWindows) {
  for (PoolKind kind : kPools)
    for (std::int64_t stride : {1, 2, 3}) {
      check_pool({.kind = kind, .axes = 1, .kernel = {3}, .stride = {stride}}, {2, 8, 2});
      check_pool({.kind = kind, .axes = 2, .kernel = {3, 2}, .stride = {stride, 2}}, {2, 6, 5, 2});
      check_pool({.kind = kind, .axes = 3, .kernel = {2, 2, 3}, .stride = {1, stride, 1}}, {1, 3, 4, 3, 2});
    }
}

TEST(PoolGradient, AgreesForPaddingAndCeilSizes) {
  for (PoolKind kind : kPools)
    for (bool ceil : {false, true})
      for (bool count_padding : {false, true})
        check_pool({.kind = kind,
                    .axes = 2,
                    .kernel = {3, 3},
                    .stride = {2, 2},
                    .pad_low = {1, 0},
                    .pad_high = {1, 2},
                    .ceil = ceil,
                    .count_padding = count_padding},
                   {1, 6, 5, 2});
}

TEST(PoolGradient, AgreesForTheWholeImage) {
  for (PoolKind kind : kPools) {
    check_pool({.kind = kind, .axes = 1, .global = true}, {2, 5, 2});
    check_pool({.kind = kind, .axes = 2, .global = true}, {2, 3, 4, 2});
    check_pool({.kind = kind, .axes = 3, .global = true}, {2, 2, 3, 2, 2});
  }
}

TEST(PoolGradient, AgreesForWindowsOfMoreThan256Positions) {
  check_pool({.kind = PoolKind::max, .axes = 2, .kernel = {17, 17}, .stride = {1, 1}}, {1, 18, 18, 1});
}

TEST(ActivationGradient, AgreesForEveryFunction) {
  for (const ActivationAttributes& attributes :
       {ActivationAttributes{ActivationKind::relu}, {ActivationKind::tanh}, {ActivationKind::sigmoid},
        {ActivationKind::scaled_tanh}, {ActivationKind::leaky_relu, 0.1}, {ActivationKind::elu, 1.5},
        {ActivationKind::negative_part}, {ActivationKind::complement}, {ActivationKind::scale, -0.3}}) {
    SCOPED_TRACE(static_cast<int>(attributes.kind));
    expect_gradients(
        [&](Graph& graph) {
          return graph.add(OpKind::activation, attributes, {graph.add_parameter("x", {3, 4, 2}, {})});
        },
        {.distinct = true});
  }
}

TEST(BatchNormGradient, AgreesForEveryRank) {
  for (const Shape& x : {Shape{6, 3}, Shape{3, 4, 3}, Shape{2, 3, 2, 3}, Shape{2, 2, 3, 2, 2}}) {
    SCOPED_TRACE(x.str());
    expect_gradients(
        [&](Graph& graph) { return batch_norm(graph, graph.add_parameter("x", x, {}), "norm", 1e-3); });
  }
}

/// One micro-batch that is the whole batch; two, whose other half adds nothing, are in parity tests and whole runs.
TEST(BatchNormInferenceGradient, AgreesForTheInputOfAFrozenLayer) {
  const auto build = [](Graph& graph) {
    std::vector<Value> inputs{graph.add_parameter("x", {4, 3, 3}, {})};
    for (const char* name : {"gamma", "beta", "mean", "variance"}) inputs.push_back(graph.add_input(name, {3}, DType::f64));
    return graph.add(OpKind::batch_norm_inference, BatchNormAttributes{.epsilon = 1e-3}, inputs);
  };
  expect_gradients(build, {.given = {{"variance", tensor_of({3}, {0.5, 2, 3})}}});
}

TEST(GlobalBatchNormGradient, AgreesForEveryRank) {
  for (const Shape& x : {Shape{6, 3}, Shape{3, 4, 3}, Shape{2, 3, 2, 3}, Shape{2, 2, 3, 2, 2}}) {
    SCOPED_TRACE(x.str());
    expect_gradients([&](Graph& graph) {
      graph.normalised_micro_batches = 1;
      return batch_norm(graph, graph.add_parameter("x", x, {}), "norm", 1e-3);
    });
  }
}

TEST(BatchNormGradient, AgreesWhereEpsilonDominates) {
  expect_gradients([](Graph& graph) {
    return batch_norm(graph, graph.add_parameter("x", {5, 2}, {}), "norm", 10.0);
  });
}

TEST(DropoutGradient, AgreesAndUsesTheSameMask) {
  const Tensor keys = keys_of({{0, 17}, {3, 5}, {3, 6}});
  for (double rate : {0.0, 0.3, 0.5})
    expect_gradients(
        [&](Graph& graph) {
          const Value key_input = graph.add_input("keys", {3, 2}, DType::u64);
          return graph.add(OpKind::dropout, DropoutAttributes{rate, 7, "fc"},
                           {graph.add_parameter("x", {3, 5, 4}, {}), key_input});
        },
        {.given = {{"keys", keys}}});
}

}  // namespace
}  // namespace convoy::test
