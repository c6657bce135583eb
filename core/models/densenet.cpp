// Huang, Liu, van der Maaten & Weinberger 2017, "Densely Connected Convolutional Networks", section 3 and table 1.
#include <fmt/format.h>

#include <cmath>

#include "core/models/blocks.h"

namespace convoy {
namespace {

Value bn_relu_conv(Graph& graph, Value x, int number, std::int64_t channels, std::int64_t kernel, double rate) {
  x = relu(graph, batch_norm(graph, x, fmt::format("bn{}", number)));
  x = conv(graph, x, fmt::format("conv{}", number), {.channels = channels, .kernel = kernel, .bias = false});
  return dropout(graph, x, fmt::format("dropout{}", number), rate);
}

/// Every layer sees what all before it have made, and adds k maps.
Value block(Graph& graph, Value x, int number, int layers, const DenseNetSpec& spec) {
  Graph::Scope scope(graph, fmt::format("block{}", number));
  for (int l = 1; l <= layers; ++l) {
    Graph::Scope inner(graph, fmt::format("layer{}", l));
    Value made = x;
    int step = 1;
    if (spec.bottleneck) made = bn_relu_conv(graph, made, step++, 4 * spec.growth, 1, spec.dropout);
    made = bn_relu_conv(graph, made, step, spec.growth, 3, spec.dropout);
    x = concat(graph, {x, made});
  }
  return x;
}

Value transition(Graph& graph, Value x, int number, const DenseNetSpec& spec) {
  Graph::Scope scope(graph, fmt::format("transition{}", number));
  const auto channels = static_cast<std::int64_t>(std::floor(spec.compression * static_cast<double>(graph.shape(x)[-1])));
  x = bn_relu_conv(graph, x, 1, channels, 1, spec.dropout);
  return pool(graph, x, {.kind = PoolKind::average, .kernel = 2, .stride = 2});
}

Value stem(Graph& graph, Value x, const DenseNetSpec& spec) {
  Graph::Scope scope(graph, "stem");
  if (!spec.large_images)
    return conv(graph, x, "conv1", {.channels = spec.compression < 1 ? 2 * spec.growth : 16, .kernel = 3, .bias = false});
  x = conv(graph, x, "conv1", {.channels = 2 * spec.growth, .kernel = 7, .stride = 2, .bias = false});
  x = relu(graph, batch_norm(graph, x, "bn1"));
  return pool(graph, x, {.kernel = 3, .stride = 2, .pad_low = 1, .pad_high = 1});
}

}  // namespace

Value densenet(Graph& graph, Value x, std::int64_t classes, const DenseNetSpec& spec) {
  x = stem(graph, x, spec);
  for (std::size_t b = 0; b < spec.layers.size(); ++b) {
    const int number = static_cast<int>(b) + 1;
    if (b > 0) x = transition(graph, x, number - 1, spec);
    x = block(graph, x, number, spec.layers[b], spec);
  }
  x = relu(graph, batch_norm(graph, x, "bn"));
  return dense(graph, global_pool(graph, x), "fc", {.units = classes});
}

}  // namespace convoy
