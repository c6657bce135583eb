// A multi-layer perceptron (Rumelhart, Hinton & Williams 1986).
#include <fmt/format.h>

#include <cstdlib>

#include "core/models/zoo.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

ActivationKind parse_activation(const std::string& text) {
  return text == "tanh" ? ActivationKind::tanh : text == "sigmoid" ? ActivationKind::sigmoid : ActivationKind::relu;
}

}  // namespace

Value mlp(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options) {
  const double rate = parse_rate("dropout", options.at("dropout"));
  const ActivationKind kind = parse_activation(options.at("activation"));
  int layer = 1;
  for (std::int64_t units : parse_numbers("hidden", options.at("hidden"))) {
    x = activation(graph, dense(graph, x, fmt::format("hidden{}", layer), {.units = units}), kind);
    x = dropout(graph, x, fmt::format("dropout{}", layer++), rate);
  }
  return dense(graph, x, "output", {.units = classes});
}

}  // namespace convoy
