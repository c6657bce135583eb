// Zagoruyko & Komodakis 2016, "Wide Residual Networks", table 1: pre-activation residual networks for 32 x 32 images, 6 n + 4
// layers, k times as wide. Where the width changes, the shortcut is a 1 x 1 convolution of what the first batch norm and ReLU
// have made.
#include <fmt/format.h>

#include "core/models/blocks.h"

namespace convoy {
namespace {

Value bn_relu(Graph& graph, Value x, std::string_view name) { return relu(graph, batch_norm(graph, x, name)); }

Value conv3(Graph& graph, Value x, std::string_view name, std::int64_t channels, std::int64_t stride) {
  return conv(graph, x, name, {.channels = channels, .kernel = 3, .stride = stride, .bias = false});
}

Value block(Graph& graph, Value x, std::int64_t channels, std::int64_t stride, double rate) {
  const bool changes = stride > 1 || graph.shape(x)[-1] != channels;
  const Value active = bn_relu(graph, x, "bn1");
  Value f = conv3(graph, active, "conv1", channels, stride);
  f = dropout(graph, f, "dropout", rate);
  f = conv3(graph, bn_relu(graph, f, "bn2"), "conv2", channels, 1);
  if (changes) x = conv(graph, active, "shortcut", {.channels = channels, .kernel = 1, .stride = stride, .bias = false});
  return add(graph, {f, x});
}

Value group(Graph& graph, Value x, int number, int blocks, std::int64_t channels, std::int64_t stride, double rate) {
  Graph::Scope scope(graph, fmt::format("group{}", number));
  for (int b = 1; b <= blocks; ++b) {
    Graph::Scope inner(graph, fmt::format("block{}", b));
    x = block(graph, x, channels, b == 1 ? stride : 1, rate);
  }
  return x;
}

}  // namespace

Value wide_resnet(Graph& graph, Value x, std::int64_t classes, int depth, std::int64_t widening, double rate) {
  const int n = (depth - 4) / 6;
  x = conv3(graph, x, "conv1", 16, 1);                         //  32 x 32
  x = group(graph, x, 1, n, 16 * widening, 1, rate);           //  32 x 32    conv2
  x = group(graph, x, 2, n, 32 * widening, 2, rate);           //  16 x 16    conv3
  x = group(graph, x, 3, n, 64 * widening, 2, rate);           //   8 x 8     conv4
  x = bn_relu(graph, x, "bn");
  return dense(graph, global_pool(graph, x), "fc", {.units = classes});
}

}  // namespace convoy
