// Srivastava, Greff & Schmidhuber 2015, "Training Very Deep Networks": y = T(x) H(x) + (1 - T(x)) x, T = sigmoid(W x + b) with
// b below 0, so that a fresh net carries most of x through (section 2.2).
#include <fmt/format.h>

#include "core/models/blocks.h"

namespace convoy {
namespace {

/// transform(name, first bias): the layer's own, of what comes in.
template <typename Transform>
Value layer(Graph& graph, Value x, int number, const HighwaySpec& spec, Transform transform) {
  Graph::Scope scope(graph, fmt::format("layer{}", number));
  const Value h = activation(graph, transform("h", Initializer{}), spec.activation);
  if (!spec.gates || number == 1) return h;  // the first layer is plain, for the width changes there
  const Value t = transform("t", Initializer{Initializer::Kind::constant, spec.gate_bias});
  return gate(graph, activation(graph, t, ActivationKind::sigmoid), h, x);
}

}  // namespace

/// Section 3.1.
Value highway(Graph& graph, Value x, std::int64_t classes, int layers, const HighwaySpec& spec) {
  for (int number = 1; number <= layers; ++number)
    x = layer(graph, x, number, spec, [&](std::string_view name, Initializer bias) {
      return dense(graph, x, name, {.units = spec.width, .bias_init = bias});
    });
  return dense(graph, x, "output", {.units = classes});
}

/// Table 1's nets for MNIST, 10 layers: the layout that has the paper's number of parameters.
Value highway_conv(Graph& graph, Value x, std::int64_t classes, const HighwaySpec& spec) {
  for (int number = 1; number <= 9; ++number) {
    x = layer(graph, x, number, spec, [&](std::string_view name, Initializer bias) {
      return conv(graph, x, name, {.channels = spec.width, .kernel = 3, .bias_init = bias});
    });
    if (number % 3) continue;
    Graph::Scope scope(graph, fmt::format("pool{}", number / 3));
    x = pool(graph, x, {.kernel = 2, .stride = 2});   //  14, 7, 3 squared
  }
  return dense(graph, x, "output", {.units = classes});
}

}  // namespace convoy
