// He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", section 4.2: residual networks for 32 x 32
// images, 6 n + 2 layers. Shortcut A throughout: where a stage halves the image, the shortcut takes every second pixel
// and adds zero channels behind its own; it has no parameters.
#include <fmt/format.h>

#include "core/models/zoo.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

Value conv_bn(Graph& graph, Value x, int number, std::int64_t channels, std::int64_t stride) {
  x = conv(graph, x, fmt::format("conv{}", number),
           {.channels = channels, .kernel = 3, .stride = stride, .bias = false});
  return batch_norm(graph, x, fmt::format("bn{}", number));
}

Value shortcut_a(Graph& graph, Value x, std::int64_t channels, std::int64_t stride) {
  if (stride > 1) x = pool(graph, x, {.kind = PoolKind::average, .kernel = 1, .stride = stride});
  return graph.shape(x)[-1] < channels ? pad_channels(graph, x, 0, channels) : x;
}

Value block(Graph& graph, Value x, std::int64_t channels, std::int64_t stride) {
  Value f = relu(graph, conv_bn(graph, x, 1, channels, stride));
  f = conv_bn(graph, f, 2, channels, 1);
  return relu(graph, add(graph, {f, shortcut_a(graph, x, channels, stride)}));
}

Value stage(Graph& graph, Value x, int number, int blocks, std::int64_t channels, std::int64_t stride) {
  Graph::Scope scope(graph, fmt::format("stage{}", number));
  for (int b = 1; b <= blocks; ++b) {
    Graph::Scope inner(graph, fmt::format("block{}", b));
    x = block(graph, x, channels, b == 1 ? stride : 1);
  }
  return x;
}

}  // namespace

Value resnet_small(Graph& graph, Value x, std::int64_t classes, int depth) {
  if (depth < 8 || (depth - 2) % 6) throw UsageError(fmt::format("a residual net for small images has 6 n + 2 layers, not {}", depth));
  const int n = (depth - 2) / 6;
  {
    Graph::Scope scope(graph, "stem");                                //  output    layers
    x = relu(graph, conv_bn(graph, x, 1, 16, 1));                     //  32 x 32   1
  }
  x = stage(graph, x, 1, n, 16, 1);                                   //  32 x 32   2 n
  x = stage(graph, x, 2, n, 32, 2);                                   //  16 x 16   2 n
  x = stage(graph, x, 3, n, 64, 2);                                   //   8 x 8    2 n
  return dense(graph, global_pool(graph, x), "fc", {.units = classes});  //          1
}

}  // namespace convoy
