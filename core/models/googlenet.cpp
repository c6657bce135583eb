// Szegedy et al. 2015, "Going Deeper with Convolutions", table 1 and section 5. Weights begin as Glorot & Bengio 2010 have it,
// biases at 0.2 (the paper gives neither). The library variant has batch norm, 3 x 3 in the place of the 5 x 5, and a last
// pooling of 2 x 2.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/models/blocks.h"

namespace convoy {
namespace {

constexpr Initializer kWeights{Initializer::Kind::xavier_uniform, 0}, kBias{Initializer::Kind::constant, 0.2};

struct Row {
  const char* name;
  std::int64_t one, three_reduce, three, five_reduce, five, projection;
};
//                   1x1  3x3r 3x3  5x5r 5x5  proj       output
constexpr Row k3[]{{"3a", 64, 96, 128, 16, 32, 32},      //  28 x 28 x 256
                   {"3b", 128, 128, 192, 32, 96, 64}},   //  28 x 28 x 480
    k4[]{{"4a", 192, 96, 208, 16, 48, 64},               //  14 x 14 x 512
         {"4b", 160, 112, 224, 24, 64, 64},              //  14 x 14 x 512
         {"4c", 128, 128, 256, 24, 64, 64},              //  14 x 14 x 512
         {"4d", 112, 144, 288, 32, 64, 64},              //  14 x 14 x 528
         {"4e", 256, 160, 320, 32, 128, 128}},           //  14 x 14 x 832
    k5[]{{"5a", 256, 160, 320, 32, 128, 128},            //   7 x 7 x 832
         {"5b", 384, 192, 384, 48, 128, 128}};           //   7 x 7 x 1024

class GoogLeNet {
 public:
  GoogLeNet(Graph& graph, std::int64_t classes, const GoogLeNetSpec& spec) : graph_(graph), classes_(classes), spec_(spec) {}

  Value build(Value x) {
    x = stem(x);
    for (const Row& row : k3) x = inception(x, row);
    x = max_pool(x, "pool3", 3);
    for (const Row& row : k4) {
      x = inception(x, row);
      if (row.name == std::string_view("4a")) auxiliary(x, "aux1");
      if (row.name == std::string_view("4d")) auxiliary(x, "aux2");
    }
    x = max_pool(x, "pool4", spec_.library ? 2 : 3);
    for (const Row& row : k5) x = inception(x, row);
    x = dropout(graph_, global_pool(graph_, x), "dropout", spec_.library ? 0.2 : 0.4);
    return dense(graph_, x, "fc", {.units = classes_, .init = kWeights});
  }

 private:
  Graph& graph_;
  std::int64_t classes_;
  const GoogLeNetSpec& spec_;

  std::int64_t scaled(std::int64_t channels) const {
    return std::max<std::int64_t>(std::llround(static_cast<double>(channels) * spec_.width), 1);
  }

  Value conv_relu(Value x, std::string_view name, std::int64_t channels, std::int64_t kernel, std::int64_t stride = 1) {
    x = conv(graph_, x, name, {.channels = scaled(channels), .kernel = kernel, .stride = stride, .bias = !spec_.batch_norm,
                               .init = kWeights, .bias_init = kBias});
    if (spec_.batch_norm) x = batch_norm(graph_, x, fmt::format("{}_bn", name), 1e-3);
    return relu(graph_, x);
  }

  /// 112 -> 56 -> 28 -> 14 -> 7: sizes are rounded up.
  Value max_pool(Value x, std::string_view name, std::int64_t kernel) {
    Graph::Scope scope(graph_, name);
    return pool(graph_, x, {.kernel = kernel, .stride = 2, .ceil = true});
  }

  Value normalised(Value x) { return spec_.batch_norm ? x : local_response(graph_, x); }

  Value stem(Value x) {
    Graph::Scope scope(graph_, "stem");
    if (spec_.small_images) {
      x = normalised(conv_relu(x, "conv1", 64, 3));
    } else {
      x = conv_relu(x, "conv1", 64, 7, 2);
      x = normalised(max_pool(x, "pool1", 3));
    }
    x = conv_relu(x, "conv2_reduce", 64, 1);
    x = normalised(conv_relu(x, "conv2", 192, 3));
    return max_pool(x, "pool2", 3);
  }

  Value inception(Value x, const Row& row) {
    Graph::Scope scope(graph_, fmt::format("inception{}", row.name));
    const Value one = conv_relu(x, "1x1", row.one, 1);
    const Value three = conv_relu(conv_relu(x, "3x3_reduce", row.three_reduce, 1), "3x3", row.three, 3);
    const Value five = conv_relu(conv_relu(x, "5x5_reduce", row.five_reduce, 1), "5x5", row.five, spec_.library ? 3 : 5);
    const Value pooled = pool(graph_, x, {.kernel = 3, .stride = 1, .pad_low = 1, .pad_high = 1});
    return concat(graph_, {one, three, five, conv_relu(pooled, "projection", row.projection, 1)});
  }

  /// Average pooling of 5 x 5, of the whole map where it is smaller.
  void auxiliary(Value x, std::string_view name) {
    if (!spec_.auxiliary) return;
    if (!graph_.training) {
      graph_.training_only.emplace_back(name);
      return;
    }
    Graph::Scope scope(graph_, name);
    bool small = false;
    for (int axis = 1; axis + 1 < graph_.shape(x).rank(); ++axis) small = small || graph_.shape(x)[axis] < 5;
    x = small ? global_pool(graph_, x) : pool(graph_, x, {.kind = PoolKind::average, .kernel = 5, .stride = 3});
    x = conv_relu(x, "conv", 128, 1);
    x = relu(graph_, dense(graph_, x, "fc1", {.units = scaled(1024), .init = kWeights, .bias_init = kBias}));
    x = dropout(graph_, x, "dropout", 0.7);
    graph_.auxiliary.push_back({dense(graph_, x, "fc2", {.units = classes_, .init = kWeights}), 0.3});
  }
};

}  // namespace

Value googlenet(Graph& graph, Value x, std::int64_t classes, const GoogLeNetSpec& spec) {
  return GoogLeNet(graph, classes, spec).build(x);
}

}  // namespace convoy
