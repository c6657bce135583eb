// He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", section 4.2: residual networks for 32 x 32
// images, 6 n + 2 layers, and the plain ones beside them. The paper has shortcut A throughout.
#include <fmt/format.h>

#include "core/models/blocks.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

Value conv_bn(Graph& graph, Value x, int number, std::int64_t channels, std::int64_t stride) {
  x = conv(graph, x, fmt::format("conv{}", number),
           {.channels = channels, .kernel = 3, .stride = stride, .bias = false});
  return batch_norm(graph, x, fmt::format("bn{}", number));
}

Value block(Graph& graph, Value x, std::int64_t channels, std::int64_t stride, Shortcut kind, StochasticDepth& depth) {
  Value f = relu(graph, conv_bn(graph, x, 1, channels, stride));
  f = conv_bn(graph, f, 2, channels, 1);
  if (kind == Shortcut::none) return relu(graph, f);
  f = depth(graph, f);
  return relu(graph, add(graph, {f, shortcut(graph, x, kind, channels, stride)}));
}

Value stage(Graph& graph, Value x, int number, int blocks, std::int64_t channels, std::int64_t stride, Shortcut kind,
            StochasticDepth& depth) {
  Graph::Scope scope(graph, fmt::format("stage{}", number));
  for (int b = 1; b <= blocks; ++b) {
    Graph::Scope inner(graph, fmt::format("block{}", b));
    x = block(graph, x, channels, b == 1 ? stride : 1, kind, depth);
  }
  return x;
}

}  // namespace

Value resnet_small(Graph& graph, Value x, std::int64_t classes, int layers, Shortcut kind, double last_drop) {
  if (layers < 8 || (layers - 2) % 6) throw UsageError(fmt::format("a residual net for small images has 6 n + 2 layers, not {}", layers));
  const int n = (layers - 2) / 6;
  StochasticDepth depth(3 * n, last_drop);
  {
    Graph::Scope scope(graph, "stem");                                //  output    layers
    x = relu(graph, conv_bn(graph, x, 1, 16, 1));                     //  32 x 32   1
  }
  x = stage(graph, x, 1, n, 16, 1, kind, depth);                      //  32 x 32   2 n
  x = stage(graph, x, 2, n, 32, 2, kind, depth);                      //  16 x 16   2 n
  x = stage(graph, x, 3, n, 64, 2, kind, depth);                      //   8 x 8    2 n
  return dense(graph, global_pool(graph, x), "fc", {.units = classes});  //          1
}

}  // namespace convoy
