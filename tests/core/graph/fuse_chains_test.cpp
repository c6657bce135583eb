// Which graphs become which chains.
#include "core/graph/fuse_chains.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/graph/layers.h"
#include "core/graph/passes.h"

namespace convoy {
namespace {

constexpr auto kTanh = ActivationKind::tanh;

struct Sketch {
  Graph graph;
  const Value x = graph.add_input("x", {2, 4, 4, 3}, DType::f32), other = graph.add_input("other", {2, 4, 4, 3}, DType::f32);
  Value tanh(Value value) { return activation(graph, value, kTanh); }
  /// A kernel that is no element-wise op.
  Value kernel(Value value) { return slice_channels(graph, value, 0, 3); }
  const Op& op_of(Value value) { return graph.ops()[static_cast<std::size_t>(graph.info(value).producer)]; }
  int chains() const { return count_ops(graph, OpKind::elementwise_chain); }
};

TEST(FuseChains, MakesARunOneOpInThePlaceOfItsLast) {
  Sketch s;
  const Value affine = channel_affine(s.graph, s.x, "affine", {});
  const Value y = s.tanh(affine);
  fuse_chains(s.graph, {});
  ASSERT_EQ(s.graph.ops().size(), 1U);
  const Op& chain = s.graph.ops()[0];
  EXPECT_EQ(chain.kind, OpKind::elementwise_chain);
  EXPECT_EQ(chain.inputs, (std::vector<Value>{s.x, s.graph.find("affine/gain"), s.graph.find("affine/bias")}));
  EXPECT_EQ(chain.outputs, std::vector<Value>{y});
  using Function = ChainStep::Function;
  const ChainAttributes expected{{{.function = Function::multiply_channels, .a = 0, .b = 1},
                                  {.function = Function::add_channels, .a = 3, .b = 2},
                                  {.function = Function::activation, .activation = {kTanh}, .a = 4}},
                                 {2}};
  EXPECT_EQ(chain.as<ChainAttributes>(), expected);
  EXPECT_EQ(s.graph.info(affine).producer, -1);
  EXPECT_EQ(s.graph.info(y).producer, 0);
}

TEST(FuseChains, LeavesASingleOp) {
  Sketch s;
  s.kernel(s.tanh(s.x));
  fuse_chains(s.graph, {});
  EXPECT_EQ(s.chains(), 0);
  EXPECT_EQ(s.graph.ops().size(), 2U);
}

TEST(FuseChains, GivesWhatOthersReadAndWhatIsKept) {
  Sketch s;
  const Value first = s.tanh(s.x), second = s.tanh(first), third = s.tanh(second);
  s.kernel(first);
  s.kernel(third);
  fuse_chains(s.graph, {second});
  ASSERT_EQ(s.graph.ops().size(), 3U);
  EXPECT_EQ(s.graph.ops()[0].outputs, (std::vector<Value>{first, second, third}));
}

TEST(FuseChains, KeepsWhatTheReluPatternWouldHaveTaken) {
  Sketch s;
  const Value inner = conv(s.graph, s.x, "c", {.channels = 3, .kernel = 3});
  relu(s.graph, inner);
  fuse(s.graph, {inner});
  EXPECT_EQ(s.graph.ops().size(), 2U);
}

TEST(FuseChains, CutsARunWhereOthersReadBeforeItEnds) {
  Sketch s;
  const Value first = s.tanh(s.x), second = s.tanh(first);
  const Value made = s.kernel(second);
  const Value y = add(s.graph, {second, made}), z = s.tanh(y);
  fuse_chains(s.graph, {});
  EXPECT_EQ(s.chains(), 2);
  EXPECT_EQ(s.op_of(second).inputs, std::vector<Value>{s.x});
  EXPECT_EQ(s.op_of(z).inputs, (std::vector<Value>{second, made}));
}

TEST(FuseChains, ReadsAnInputOnceHoweverManyStepsDo) {
  Sketch s;
  multiply(s.graph, s.tanh(s.x), add(s.graph, {s.x, s.x}));
  fuse_chains(s.graph, {});
  ASSERT_EQ(s.graph.ops().size(), 1U);
  EXPECT_EQ(s.graph.ops()[0].inputs, std::vector<Value>{s.x});
}

TEST(FuseChains, MovesAnOpBehindAKernelOnlyWhereThatCostsNoMemory) {
  for (const bool costs : {false, true}) {
    Sketch s;
    const Value a = s.kernel(s.x), b = s.kernel(s.other);
    const Value early = costs ? multiply(s.graph, a, b) : s.tanh(a);
    add(s.graph, {early, s.kernel(s.x)});
    fuse_chains(s.graph, {});
    EXPECT_EQ(s.chains(), costs ? 0 : 1);
  }
}

TEST(FuseChains, RoundsASumOfManyTermsOnce) {
  Graph graph;
  std::vector<Value> terms;
  for (const char* name : {"a", "b", "c"}) terms.push_back(graph.add_input(name, {4, 3}, DType::bf16));
  relu(graph, add(graph, terms));
  fuse_chains(graph, {});
  ASSERT_EQ(graph.ops().size(), 1U);
  const auto& steps = graph.ops()[0].as<ChainAttributes>().steps;
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].type, DType::f32);
  EXPECT_EQ(steps[1].type, DType::bf16);
  EXPECT_EQ(steps[2].type, DType::bf16);
}

TEST(FuseChains, CutsRunsAtTheirBounds) {
  Sketch s;
  Value y = s.x;
  for (int i = 0; i < 14; ++i) y = s.tanh(y);
  fuse_chains(s.graph, {});
  std::vector<std::size_t> lengths;
  for (const Op& op : s.graph.ops()) lengths.push_back(op.as<ChainAttributes>().steps.size());
  EXPECT_EQ(lengths, (std::vector<std::size_t>{2, 6, 6}));
  EXPECT_EQ(s.graph.ops().back().outputs.front(), y);
}

TEST(FuseChains, LeavesASumOfMoreTermsThanAChainTakes) {
  Sketch s;
  s.tanh(add(s.graph, std::vector<Value>(9, s.x)));
  fuse_chains(s.graph, {});
  EXPECT_EQ(s.chains(), 0);
}

TEST(FuseChains, CutsWhereShapesPart) {
  Sketch s;
  const Value small = s.graph.add_input("small", {3}, DType::f32);
  s.graph.add(OpKind::add_channels, {}, {s.tanh(s.x), s.tanh(small)});
  fuse_chains(s.graph, {});
  ASSERT_EQ(s.chains(), 1);
  EXPECT_EQ(count_ops(s.graph, OpKind::activation), 1);
}

}  // namespace
}  // namespace convoy
