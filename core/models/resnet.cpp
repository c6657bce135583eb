// He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", table 1: residual networks for 224 x 224 images,
// and the plain ones beside them. Wide: Zagoruyko & Komodakis 2016, "Wide Residual Networks", section 3 (WRN-50-2): the 3 x 3
// convolutions of a bottleneck are twice as wide, its output is not.
#include <fmt/format.h>

#include "core/models/blocks.h"
#include "core/models/zoo.h"

namespace convoy {
namespace {

//                 layers        blocks of conv2_x to conv5_x
constexpr ResNetRow kTable[]{
    {18, {2, 2, 2, 2}, false},
    {34, {3, 4, 6, 3}, false},
    {50, {3, 4, 6, 3}, true},
    {101, {3, 4, 23, 3}, true},
    {152, {3, 8, 36, 3}, true},
};

Value conv_bn(Graph& graph, Value x, int number, std::int64_t channels, std::int64_t kernel, std::int64_t stride) {
  x = conv(graph, x, fmt::format("conv{}", number), {.channels = channels, .kernel = kernel, .stride = stride, .bias = false});
  return batch_norm(graph, x, fmt::format("bn{}", number));
}

/// 3 x 3, 3 x 3.
Value basic(Graph& graph, Value x, const ResNetSpec&, std::int64_t width, std::int64_t stride) {
  x = relu(graph, conv_bn(graph, x, 1, width, 3, stride));
  return conv_bn(graph, x, 2, width, 3, 1);
}

/// 1 x 1, 3 x 3, 1 x 1 to four times the width.
Value bottleneck(Graph& graph, Value x, const ResNetSpec& spec, std::int64_t width, std::int64_t stride) {
  const std::int64_t inner = width * spec.widening;
  x = relu(graph, conv_bn(graph, x, 1, inner, 1, spec.stride_on_first ? stride : 1));
  x = relu(graph, conv_bn(graph, x, 2, inner, 3, spec.stride_on_first ? 1 : stride));
  return conv_bn(graph, x, 3, 4 * width, 1, 1);
}

Value stage(Graph& graph, Value x, const ResNetSpec& spec, StochasticDepth& depth, int number, int blocks, std::int64_t width,
            std::int64_t stride) {
  Graph::Scope scope(graph, fmt::format("stage{}", number));
  for (int b = 1; b <= blocks; ++b) {
    Graph::Scope inner(graph, fmt::format("block{}", b));
    const std::int64_t step = b == 1 ? stride : 1;
    Value f = (spec.bottleneck ? bottleneck : basic)(graph, x, spec, width, step);
    if (spec.shortcut != Shortcut::none) {
      f = depth(graph, f);
      f = add(graph, {f, shortcut(graph, x, spec.shortcut, graph.shape(f)[-1], step)});
    }
    x = relu(graph, f);
  }
  return x;
}

}  // namespace

std::span<const ResNetRow> resnet_table() { return kTable; }

Value resnet(Graph& graph, Value x, std::int64_t classes, const ResNetRow& row, const ResNetSpec& spec) {
  StochasticDepth depth(row.blocks[0] + row.blocks[1] + row.blocks[2] + row.blocks[3], spec.last_drop);
  {
    Graph::Scope scope(graph, "stem");                                        //  output
    x = relu(graph, conv_bn(graph, x, 1, 64, 7, 2));                          //  112 x 112
    x = pool(graph, x, {.kernel = 3, .stride = 2, .pad_low = 1, .pad_high = 1});  //  56 x 56
  }
  x = stage(graph, x, spec, depth, 1, row.blocks[0], 64, 1);                         //  56 x 56    conv2_x
  x = stage(graph, x, spec, depth, 2, row.blocks[1], 128, 2);                        //  28 x 28    conv3_x
  x = stage(graph, x, spec, depth, 3, row.blocks[2], 256, 2);                        //  14 x 14    conv4_x
  x = stage(graph, x, spec, depth, 4, row.blocks[3], 512, 2);                        //   7 x 7     conv5_x
  return dense(graph, global_pool(graph, x), "fc", {.units = classes});
}

}  // namespace convoy
