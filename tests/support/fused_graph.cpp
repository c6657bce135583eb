#include "support/fused_graph.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/graph/program.h"
#include "core/random/philox.h"

namespace convoy::test {
namespace {

constexpr std::int64_t kClasses = 3;

struct Network {
  Graph graph;
  std::vector<Value> leaves;
};

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

std::size_t bytes_of(const TensorDesc& desc) {
  return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
}

template <typename T>
std::vector<std::byte> random_bytes(const ValueInfo& info) {
  const RandomKey key = RandomKey(1, "fused graph").child(name_key(info.name));
  std::vector<std::byte> bytes(bytes_of(info.desc));
  auto* values = reinterpret_cast<T*>(bytes.data());
  for (std::int64_t i = 0; i < info.desc.shape.elements(); ++i) {
    const auto n = static_cast<std::uint64_t>(i);
    values[i] = info.desc.dtype == DType::i32 ? static_cast<T>(key.below(n, kClasses)) : static_cast<T>(key.normal(n));
  }
  return bytes;
}

std::vector<std::byte> values_of(const ValueInfo& info) {
  if (info.desc.dtype == DType::i32) return random_bytes<std::int32_t>(info);
  return info.desc.dtype == DType::f64 ? random_bytes<double>(info) : random_bytes<float>(info);
}

std::vector<std::vector<std::byte>> run(const Backend& backend, const Network& net) {
  Device& device = backend.device();
  Program program(net.graph, backend, {.outside = net.leaves});
  std::vector<DeviceMemory> memory;
  const auto bind = [&](Value value, const std::vector<std::byte>& bytes) {
    memory.push_back(device.allocate(bytes.size()));
    device.copy(Stream::compute, memory.back().get(), bytes.data(), bytes.size());
    device.synchronize(Stream::compute);
    program.bind_memory(value, memory.back().get());
    return memory.back().get();
  };
  for (int id = 0; id < static_cast<int>(net.graph.values().size()); ++id) {
    const ValueInfo& info = net.graph.values()[static_cast<std::size_t>(id)];
    if (info.role != Role::activation && info.role != Role::gradient) bind({id}, values_of(info));
  }
  std::vector<void*> at;
  for (Value leaf : net.leaves) at.push_back(bind(leaf, std::vector<std::byte>(bytes_of(net.graph.info(leaf).desc), std::byte{0xff})));
  program.run();
  std::vector<std::vector<std::byte>> found;
  for (std::size_t i = 0; i < at.size(); ++i) {
    found.emplace_back(bytes_of(net.graph.info(net.leaves[i]).desc));
    device.copy(Stream::compute, found.back().data(), at[i], found.back().size());
    device.synchronize(Stream::compute);
  }
  return found;
}

}  // namespace

void expect_same_bits_fused(const Backend& backend, DType real) {
  const Network single = residual_blocks(real);
  Network fused = single;
  fuse(fused.graph);
  ASSERT_EQ(single.graph.ops().size() - fused.graph.ops().size(), 17U)
      << "7 ReLUs, their 7 backward ops and 3 sums were to be fused";
  const auto expected = run(backend, single), found = run(backend, fused);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(expected[i], found[i]) << "leaf " << i << " (the loss, then gradients and statistics in the order of the graph)";
}

}  // namespace convoy::test
