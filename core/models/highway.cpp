// Srivastava, Greff & Schmidhuber 2015, "Training Very Deep Networks": y = T(x) H(x) + (1 - T(x)) x, T = sigmoid(W x + b) with
// b below 0, so that a fresh net carries most of x through (section 2.2).
#include <fmt/format.h>

#include "core/models/blocks.h"

namespace convoy {
namespace {

Initializer gate_bias(const HighwaySpec& spec) { return {Initializer::Kind::constant, spec.gate_bias}; }

Value dense_layer(Graph& graph, Value x, int number, const HighwaySpec& spec, bool carries) {
  Graph::Scope scope(graph, fmt::format("layer{}", number));
  const Value h = activation(graph, dense(graph, x, "h", {.units = spec.width}), spec.activation);
  if (!carries) return h;
  const Value t = dense(graph, x, "t", {.units = spec.width, .bias_init = gate_bias(spec)});
  return gate(graph, activation(graph, t, ActivationKind::sigmoid), h, x);
}

Value conv_layer(Graph& graph, Value x, int number, const HighwaySpec& spec, bool carries) {
  Graph::Scope scope(graph, fmt::format("layer{}", number));
  const Value h = activation(graph, conv(graph, x, "h", {.channels = spec.width, .kernel = 3}), spec.activation);
  if (!carries) return h;
  const Value t = conv(graph, x, "t", {.channels = spec.width, .kernel = 3, .bias_init = gate_bias(spec)});
  return gate(graph, activation(graph, t, ActivationKind::sigmoid), h, x);
}

}  // namespace

/// Section 3.1: the first layer is plain, for the width changes there.
Value highway(Graph& graph, Value x, std::int64_t classes, int layers, const HighwaySpec& spec) {
  for (int number = 1; number <= layers; ++number) x = dense_layer(graph, x, number, spec, spec.gates && number > 1);
  return dense(graph, x, "output", {.units = classes});
}

/// Table 1's nets for MNIST, 10 layers: the layout that has the paper's number of parameters.
Value highway_conv(Graph& graph, Value x, std::int64_t classes, const HighwaySpec& spec) {
  for (int number = 1; number <= 9; ++number) {
    x = conv_layer(graph, x, number, spec, spec.gates && number > 1);
    if (number % 3) continue;
    Graph::Scope scope(graph, fmt::format("pool{}", number / 3));
    x = pool(graph, x, {.kernel = 2, .stride = 2});   //  14, 7, 3 squared
  }
  return dense(graph, x, "output", {.units = classes});
}

}  // namespace convoy
