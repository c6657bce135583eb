#include <gtest/gtest.h>

#include <cmath>

#include "core/backend/backend.h"
#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/graph/program.h"
#include "core/tensor/error.h"
#include "support/gradient_check.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

const Tensor kWeights = tensor_of({3}, {1, 0.25, 2});

TEST(SoftmaxCrossEntropyGradient, AgreesForVectorsAndMaps) {
  struct Case {
    Shape logits, labels;
    std::vector<std::int32_t> values;
  };
  for (const Case& c : {Case{{3, 4}, {3}, {0, 3, 1}}, Case{{3, 2, 4}, {3, 2}, {0, 3, 1, 1, 2, 0}},
                        Case{{3, 1, 2, 3}, {3, 1, 2}, {0, 2, 1, 1, 2, 0}}})
    expect_gradients(
        [&](Graph& graph) {
          const Value labels = graph.add_input("labels", c.labels, DType::i32);
          const Value weights = graph.add_input("weights", {3}, DType::f64);
          return graph.add(OpKind::softmax_cross_entropy, LossAttributes{.scale = 1.5},
                           {graph.add_parameter("logits", c.logits, {}), labels, weights});
        },
        {.returns_loss = true, .given = {{"labels", integers_of(c.labels, c.values)}, {"weights", kWeights}}});
}

TEST(MeanSquaredGradient, ReachesPredictionAndTarget) {
  for (const Shape& shape : {Shape{3}, Shape{3, 4}, Shape{3, 2, 2, 2}})
    expect_gradients(
        [&](Graph& graph) {
          const Value weights = graph.add_input("weights", {3}, DType::f64);
          return graph.add(OpKind::mean_squared, LossAttributes{.scale = 0.5},
                           {graph.add_parameter("y", shape, {}), graph.add_parameter("t", shape, {}), weights});
        },
        {.returns_loss = true, .given = {{"weights", kWeights}}});
}

TEST(BinaryCrossEntropyGradient, AgreesForHardAndSoftTargets) {
  expect_gradients(
      [](Graph& graph) {
        const Value target = graph.add_input("target", {3, 2}, DType::f64);
        const Value weights = graph.add_input("weights", {3}, DType::f64);
        return graph.add(OpKind::binary_cross_entropy, LossAttributes{.scale = 3},
                         {graph.add_parameter("logits", {3, 2}, {}), target, weights});
      },
      {.returns_loss = true,
       .given = {{"target", tensor_of({3, 2}, {0, 1, 0.3, 0.9, 1, 0})}, {"weights", kWeights}}});
}

TEST(LossGradient, OfASampleOfWeightZeroIsExactlyZero) {
  const Tensor gradient =
      run_op(OpKind::softmax_cross_entropy_backward, LossAttributes{},
             {tensor_of({2, 2}, {0.25, 0.75, 0.5, 0.5}), integers_of({2}, {1, 0}), tensor_of({2}, {0, 1})})[0];
  EXPECT_EQ(values_of(gradient), (std::vector<double>{0, 0, -0.5, 0.5}));
}

/// Two labels with weights a and b are one soft target: the gradient is (a + b) p - a y1 - b y2.
TEST(Differentiation, OfSeveralLossesIsThatOfTheirSum) {
  Graph graph(DType::f64);
  Tensor logits = tensor_of({2, 3}, {0.5, -1, 2, 0.25, 0.75, -0.5});
  const Value parameter = graph.add_parameter("logits", {2, 3}, {});
  std::vector<Value> inputs{parameter}, losses;
  std::vector<Tensor> given{logits};
  for (const char* name : {"first", "second"}) {
    const bool first = name == std::string("first");
    const Value labels = graph.add_input(std::string(name) + " labels", {2}, DType::i32);
    const Value weights = graph.add_input(std::string(name) + " weights", {2}, DType::f64);
    losses.push_back(graph.add(OpKind::softmax_cross_entropy, LossAttributes{}, {parameter, labels, weights}));
    inputs.insert(inputs.end(), {labels, weights});
    given.push_back(integers_of({2}, first ? std::vector<std::int32_t>{0, 2} : std::vector<std::int32_t>{1, 2}));
    given.push_back(tensor_of({2}, first ? std::vector<double>{0.75, 0.5} : std::vector<double>{0.25, 0.5}));
  }
  const std::vector<ParameterGradient> gradients = differentiate(graph, losses);
  ASSERT_EQ(gradients.size(), 1u);
  const std::unique_ptr<Backend> backend = make_reference_backend();
  Program program(graph, *backend, ProgramOptions{.keep = {gradients[0].gradient}});
  for (std::size_t i = 0; i < inputs.size(); ++i) program.bind_memory(inputs[i], given[i].bytes());
  program.run();
  const double targets[2][3] = {{0.75, 0.25, 0}, {0, 0, 1}};
  for (std::size_t row = 0; row < 2; ++row) {
    double sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += std::exp(logits.values<double>()[3 * row + c]);
    for (std::size_t c = 0; c < 3; ++c)
      EXPECT_NEAR(program.data<double>(gradients[0].gradient)[3 * row + c],
                  std::exp(logits.values<double>()[3 * row + c]) / sum - targets[row][c], 1e-12);
  }
}

TEST(Differentiation, RefusesToBeginAtAnOpThatIsNoLoss) {
  Graph graph(DType::f64);
  const Value y = activation(graph, graph.add_parameter("x", {1}, {}), ActivationKind::tanh);
  EXPECT_THROW(differentiate(graph, y), UsageError);
}

TEST(Differentiation, RefusesBatchNormOfAnInferenceGraph) {
  Graph graph(DType::f64);
  graph.training = false;
  const Value y = batch_norm(graph, graph.add_parameter("x", {3, 2}, {}), "norm");
  const Value loss =
      graph.add(OpKind::mean_squared, LossAttributes{},
                {y, graph.add_input("t", {3, 2}, DType::f64), graph.add_input("w", {3}, DType::f64)});
  EXPECT_THROW(differentiate(graph, loss), UsageError);
}

TEST(WorstElementOfGradients, FindsAFactorOfOnePartInAHundredThousand) {
  const std::vector<double> analytic{1, -2, 3}, numeric{1, -2.00002, 3};
  const WorstElement worst = worst_element(analytic, numeric);
  EXPECT_EQ(worst.index, 1u);
  EXPECT_GT(worst.error, 5e-6);
}

TEST(WorstElementOfGradients, FindsNotANumber) {
  const std::vector<double> analytic{1, std::nan(""), 3}, numeric{1, 2, 3};
  const WorstElement worst = worst_element(analytic, numeric);
  EXPECT_EQ(worst.index, 1u);
  EXPECT_FALSE(worst.error <= 1);
}

}  // namespace
}  // namespace convoy::test
