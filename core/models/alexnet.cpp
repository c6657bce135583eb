// Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", figure 2: two towers,
// one a GPU, that see each other's maps in conv3 and in the dense layers alone. What crosses is a concat forward and a sum of
// two terms backward. The paper's 224 x 224 pixels give its 55 x 55 maps with a border of 2.
//
// Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", footnote 1: one narrower tower, no local
// response normalisation; what libraries call AlexNet.
#include <fmt/format.h>

#include "core/models/blocks.h"

namespace convoy {
namespace {

constexpr Initializer kWeights{Initializer::Kind::gaussian, 0.01};
constexpr Initializer kZero{Initializer::Kind::constant, 0}, kOne{Initializer::Kind::constant, 1};

struct Layer {
  int number;
  std::int64_t channels, kernel, stride, pad;
  Initializer bias;
};

using Towers = std::vector<Value>;

/// f(tower's name, index) for each tower.
template <typename F>
Towers each(Graph& graph, std::size_t towers, F f) {
  Towers made;
  for (std::size_t t = 0; t < towers; ++t) {
    if (towers == 1) {
      made.push_back(f(t));
    } else {
      Graph::Scope scope(graph, fmt::format("tower{}", t));
      made.push_back(f(t));
    }
  }
  return made;
}

Value conv_relu(Graph& graph, Value x, const Layer& layer, std::int64_t channels) {
  return relu(graph, conv(graph, x, fmt::format("conv{}", layer.number),
                          {.channels = channels, .kernel = layer.kernel, .stride = layer.stride, .padding = PadRule::given,
                           .pad_low = layer.pad, .pad_high = layer.pad, .init = kWeights, .bias_init = layer.bias}));
}

Value max_pool(Graph& graph, Value x, int number) {
  Graph::Scope scope(graph, fmt::format("pool{}", number));
  return pool(graph, x, {.kernel = 3, .stride = 2});
}

/// A convolution in every tower, of its own maps or, with `crosses`, of all.
Towers convolutions(Graph& graph, const Towers& x, const Layer& layer, bool crosses = false) {
  const Value all = crosses ? concat(graph, x) : Value{};
  const auto towers = static_cast<std::int64_t>(x.size());
  return each(graph, x.size(), [&](std::size_t t) { return conv_relu(graph, crosses ? all : x[t], layer, layer.channels / towers); });
}

/// The share of `units` that a tower computes from what all towers have made; the first takes the odd one.
Towers dense_layers(Graph& graph, const Towers& x, int number, std::int64_t units, bool hidden) {
  const Value all = concat(graph, x);
  const auto towers = static_cast<std::int64_t>(x.size());
  return each(graph, x.size(), [&](std::size_t t) {
    const std::int64_t share = (units + towers - 1 - static_cast<std::int64_t>(t)) / towers;
    Value y = dense(graph, all, fmt::format("fc{}", number), {.units = share, .init = kWeights, .bias_init = hidden ? kOne : kZero});
    return hidden ? dropout(graph, relu(graph, y), fmt::format("fc{}_dropout", number), 0.5) : y;
  });
}

Towers normalised_pools(Graph& graph, const Towers& x, int number, bool normalise) {
  return each(graph, x.size(), [&](std::size_t t) { return max_pool(graph, normalise ? local_response(graph, x[t]) : x[t], number); });
}

}  // namespace

Value alexnet(Graph& graph, Value image, std::int64_t classes, int towers) {
  Towers x(static_cast<std::size_t>(towers), image);          //  both towers
  x = convolutions(graph, x, {1, 96, 11, 4, 2, kZero});       //  55 x 55 x 96
  x = normalised_pools(graph, x, 1, true);                    //  27 x 27
  x = convolutions(graph, x, {2, 256, 5, 1, 2, kOne});        //  27 x 27 x 256
  x = normalised_pools(graph, x, 2, true);                    //  13 x 13
  x = convolutions(graph, x, {3, 384, 3, 1, 1, kZero}, true); //  13 x 13 x 384   of both towers
  x = convolutions(graph, x, {4, 384, 3, 1, 1, kOne});        //  13 x 13 x 384
  x = convolutions(graph, x, {5, 256, 3, 1, 1, kOne});        //  13 x 13 x 256
  x = normalised_pools(graph, x, 5, false);                   //   6 x 6
  x = dense_layers(graph, x, 6, 4096, true);                  //  of both towers, as all below
  x = dense_layers(graph, x, 7, 4096, true);
  return concat(graph, dense_layers(graph, x, 8, classes, false));
}

Value alexnet_2014(Graph& graph, Value x, std::int64_t classes) {
  x = max_pool(graph, conv_relu(graph, x, {1, 64, 11, 4, 2, kZero}, 64), 1);    //  27 x 27
  x = max_pool(graph, conv_relu(graph, x, {2, 192, 5, 1, 2, kZero}, 192), 2);   //  13 x 13
  x = conv_relu(graph, x, {3, 384, 3, 1, 1, kZero}, 384);
  x = conv_relu(graph, x, {4, 256, 3, 1, 1, kZero}, 256);
  x = max_pool(graph, conv_relu(graph, x, {5, 256, 3, 1, 1, kZero}, 256), 5);   //   6 x 6
  for (const int number : {6, 7}) {
    x = dropout(graph, x, fmt::format("fc{}_dropout", number), 0.5);
    x = relu(graph, dense(graph, x, fmt::format("fc{}", number), {.units = 4096, .init = kWeights}));
  }
  return dense(graph, x, "fc8", {.units = classes, .init = kWeights});
}

}  // namespace convoy
