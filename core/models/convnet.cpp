// The four-layer convolutional net of figure 1 of Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural
// Networks", which compares ReLU with tanh on CIFAR-10. The paper does not give its layers; these are those of cuda-convnet's
// nets of the same time.
#include <fmt/format.h>

#include "core/models/blocks.h"

namespace convoy {

Value convnet(Graph& graph, Value x, std::int64_t classes, ActivationKind kind) {
  constexpr std::int64_t kChannels[]{32, 32, 64};
  for (int number = 1; number <= 3; ++number) {
    x = conv(graph, x, fmt::format("conv{}", number), {.channels = kChannels[number - 1], .kernel = 5});
    x = activation(graph, x, kind);
    if (number == 3) break;
    Graph::Scope scope(graph, fmt::format("pool{}", number));
    x = pool(graph, x, {.kernel = 3, .stride = 2, .ceil = true});   //  16, 8 squared
  }
  return dense(graph, x, "fc", {.units = classes});
}

}  // namespace convoy
