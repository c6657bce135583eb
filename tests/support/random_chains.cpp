#include "support/random_chains.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "core/graph/fuse_chains.h"
#include "core/graph/passes.h"

namespace convoy::test {
namespace {

class RandomElements {
 public:
  RandomElements(DType type, unsigned seed) : random_(seed), type_(type) {}

  Network make() {
    const Shape shape = std::vector<Shape>{{3, 7}, {2, 3, 5, 6}, {1031}, {5, 300}, {2, 4, 8}}[below(5)];
    for (const char* name : {"a", "b", "c"}) values_.push_back(graph().add_input(name, shape, type_));
    values_.push_back(graph().add_input("wide", shape, DType::f32));
    for (const char* name : {"gain", "bias"}) channels_.push_back(graph().add_parameter(name, {shape[-1]}, {}));
    const int ops = 2 + below(14);
    for (int i = 0; i < ops; ++i) append();
    std::vector<bool> read(graph().values().size(), false);
    for (const Op& op : graph().ops())
      for (Value input : op.inputs) read[static_cast<std::size_t>(input.id)] = true;
    for (Value value : values_)
      if (graph().info(value).producer >= 0 && (!read[static_cast<std::size_t>(value.id)] || below(5) == 0))
        net_.leaves.push_back(value);
    return std::move(net_);
  }

 private:
  std::mt19937 random_;
  DType type_;
  Network net_{Graph(), {}};
  std::vector<Value> values_, channels_;

  Graph& graph() { return net_.graph; }
  int below(std::size_t n) { return static_cast<int>(random_() % n); }
  /// Late values more often, so that there are chains.
  Value any() {
    const std::size_t n = values_.size();
    return values_[below(2) == 0 ? n - 1 - static_cast<std::size_t>(below(std::min<std::size_t>(n, 3))) : static_cast<std::size_t>(below(n))];
  }
  Value like(Value x) {
    while (true)
      if (const Value found = any(); graph().info(found).desc == graph().info(x).desc) return found;
  }

  void append() {
    const Value x = any();
    // Every kind but none.
    const ActivationAttributes activation{static_cast<ActivationKind>(1 + below(kActivationKinds - 1)), 0.75};
    const auto put = [&](OpKind kind, Attributes attributes, std::vector<Value> inputs) {
      values_.push_back(graph().add(kind, std::move(attributes), std::move(inputs)));
    };
    switch (below(9)) {
      case 0:
      case 1: return put(OpKind::activation, activation, {x});
      case 2: return put(OpKind::activation_backward, activation, {like(x), x});
      case 3: return put(OpKind::add, {}, {x, like(x)});
      case 4: return put(OpKind::add, {}, {x, like(x), like(x)});
      case 5: return put(OpKind::multiply, {}, {x, like(x)});
      case 6: return put(OpKind::add_channels, {}, {x, channels_[static_cast<std::size_t>(below(2))]});
      case 7: return put(OpKind::multiply_channels, {}, {x, channels_[static_cast<std::size_t>(below(2))]});
      default: return put(OpKind::cast, CastAttributes{below(2) == 0 ? DType::f32 : type_}, {x});
    }
  }
};

}  // namespace

Network random_elements(DType type, unsigned seed) { return RandomElements(type, seed).make(); }

int expect_same_bits_in_chains(const Backend& backend, const Network& network, const std::string& where) {
  Network fused = network;
  fuse_chains(fused.graph, fused.leaves);
  const auto expected = run_network(backend, network), found = run_network(backend, fused);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(expected[i] == found[i], true) << where << ": leaf " << i;
  return count_ops(fused.graph, OpKind::elementwise_chain);
}

void expect_same_bits_of_random_chains(const Backend& backend, DType type, unsigned seed) {
  expect_same_bits_in_chains(backend, random_elements(type, seed), fmt::format("{}, seed {}", name_of(type), seed));
}

}  // namespace convoy::test
