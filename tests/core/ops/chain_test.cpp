// Chains: what they give, what they refuse, what they cost, what they compute.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/backend.h"
#include "core/graph/graph.h"
#include "core/graph/passes.h"
#include "core/ops/chain.h"
#include "core/tensor/error.h"

namespace convoy::test {
namespace {

using Function = ChainStep::Function;
using testing::HasSubstr;

ChainAttributes affine(DType type = DType::f32) {
  return {{{.function = Function::multiply_channels, .a = 0, .b = 1, .type = type},
           {.function = Function::add_channels, .a = 3, .b = 2, .type = type},
           {.function = Function::activation, .activation = {ActivationKind::relu}, .a = 4, .type = type}},
          {0, 2}};
}

std::vector<TensorDesc> outputs_of(const ChainAttributes& chain, const std::vector<TensorDesc>& inputs) {
  return op_def(OpKind::elementwise_chain).infer(chain, inputs);
}

std::string refusal(const ChainAttributes& chain, const std::vector<TensorDesc>& inputs) {
  try {
    outputs_of(chain, inputs);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

const TensorDesc kX{{2, 3, 4}, DType::f32}, kC{{4}, DType::f32};

TEST(ChainInfer, GivesTheListedStepsInTheirTypes) {
  ChainAttributes chain = affine();
  chain.steps[0].type = DType::bf16;
  const std::vector<TensorDesc> expected{{kX.shape, DType::bf16}, kX};
  EXPECT_EQ(outputs_of(chain, {kX, kC, kC}), expected);
}

TEST(ChainInfer, RefusesWhatIsNoChain) {
  const auto with = [](auto change) {
    ChainAttributes chain = affine();
    change(chain);
    return chain;
  };
  EXPECT_THAT(refusal(affine(), {kX, kC, {{3}, DType::f32}}), HasSubstr("input 2"));
  EXPECT_THAT(refusal(affine(), {kX, kC, {{4}, DType::bf16}}), HasSubstr("input 2"));
  EXPECT_THAT(refusal(affine(), {{{2, 3, 4}, DType::i32}, kC, kC}), HasSubstr("works on reals"));
  EXPECT_THAT(refusal(with([](ChainAttributes& c) { c.outputs = {}; }), {kX, kC, kC}), HasSubstr("needs steps and outputs"));
  EXPECT_THAT(refusal(with([](ChainAttributes& c) { c.outputs = {3}; }), {kX, kC, kC}), HasSubstr("has 3 steps"));
  EXPECT_THAT(refusal(with([](ChainAttributes& c) { c.steps[1].a = 4; }), {kX, kC, kC}), HasSubstr("step 1 works on registers"));
  EXPECT_THAT(refusal(with([](ChainAttributes& c) { c.steps[1].b = 3; }), {kX, kC, kC}), HasSubstr("no input"));
  EXPECT_THAT(refusal(with([](ChainAttributes& c) { c.steps[2].type = DType::i32; }), {kX, kC, kC}), HasSubstr("real type"));
  EXPECT_THAT(refusal(with([](ChainAttributes& c) { c.steps[2].a = 1; }), {kX, kC, kC}), HasSubstr("both per channel"));
}

TEST(ChainCost, CountsInputsAndOutputsAndNothingInBetween) {
  const std::vector<TensorDesc> inputs{kX, kC, kC};
  const Cost cost = cost_of(OpKind::elementwise_chain, affine(), inputs, outputs_of(affine(), inputs));
  EXPECT_EQ(cost.bytes, 4.0 * (24 + 4 + 4 + 24 + 24));
  EXPECT_EQ(cost.multiply_adds, 0);
}

TEST(ChainGradient, IsRefusedForFusingComesAfterDifferentiation) {
  Graph graph;
  const Value x = graph.add_parameter("x", {2, 4}, {}), c = graph.add_parameter("c", {4}, {}), d = graph.add_parameter("d", {4}, {});
  const Value y = graph.add_op(OpKind::elementwise_chain, affine(), {x, c, d})[1];
  const Value target = graph.add_input("target", {2, 4}, DType::f32), weights = graph.add_input("w", {2}, DType::f32);
  const Value loss = graph.add_op(OpKind::mean_squared, LossAttributes{}, {y, target, weights})[0];
  EXPECT_THROW(differentiate(graph, loss), UsageError);
}

TEST(ChainHash, ChangesWithEveryPartOfAStep) {
  const auto hash = [](auto change) {
    Graph graph;
    const Value x = graph.add_input("x", {4}, DType::f32), c = graph.add_parameter("c", {4}, {}), d = graph.add_parameter("d", {4}, {});
    ChainAttributes chain = affine();
    change(chain);
    graph.add_op(OpKind::elementwise_chain, chain, {x, c, d});
    return graph_hash(graph);
  };
  const std::string plain = hash([](ChainAttributes&) {});
  EXPECT_NE(plain, hash([](ChainAttributes& c) { c.steps[1].a = 0; }));
  EXPECT_NE(plain, hash([](ChainAttributes& c) { c.steps[1].b = 1; }));
  EXPECT_NE(plain, hash([](ChainAttributes& c) { c.steps[1].type = DType::bf16; }));
  EXPECT_NE(plain, hash([](ChainAttributes& c) { c.steps[1].function = Function::multiply_channels; }));
  EXPECT_NE(plain, hash([](ChainAttributes& c) { c.steps[2].activation.kind = ActivationKind::tanh; }));
  EXPECT_NE(plain, hash([](ChainAttributes& c) { c.outputs = {1, 2}; }));
}

TEST(ReferenceChain, WorksOnOneElementAfterTheOther) {
  const TensorDesc x{{2, 2}, DType::f64}, c{{2}, DType::f64};
  const OpDesc op{OpKind::elementwise_chain, affine(DType::f64), {x, c, c}, {x, x}, {}};
  double values[] = {1, 2, 3, -4}, gain[] = {2, 3}, bias[] = {-3, 1}, product[4], y[4];
  std::vector<void*> from{values, gain, bias}, to{product, y};
  make_reference_backend()->bind(op, 1)->run({from, to, nullptr});
  EXPECT_THAT(product, testing::ElementsAre(2, 6, 6, -12));
  EXPECT_THAT(y, testing::ElementsAre(0, 7, 3, 0));
}

}  // namespace
}  // namespace convoy::test
