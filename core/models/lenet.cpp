// LeCun, Bottou, Bengio & Haffner 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B.
#include "core/models/zoo.h"

namespace convoy {
namespace {

constexpr Initializer kUniform{Initializer::Kind::fan_in_uniform, 2.4};  // appendix A: +-2.4 / fan-in
constexpr auto kSquash = ActivationKind::scaled_tanh;

// Table I: which of the six S2 maps each of the sixteen C3 maps sees; 60 links.
const std::vector<std::vector<int>> kC3Inputs{
    {0, 1, 2},    {1, 2, 3},    {2, 3, 4},    {3, 4, 5},    {0, 4, 5},    {0, 1, 5},    {0, 1, 2, 3}, {1, 2, 3, 4},
    {2, 3, 4, 5}, {0, 3, 4, 5}, {0, 1, 4, 5}, {0, 1, 2, 5}, {0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 2, 3, 4, 5}};

/// A 28 x 28 image stands in the middle of the 32 x 32 field of the paper: C1 then pads by 2.
ConvSpec c1_spec(const Graph& graph, Value x, Initializer init) {
  const bool small = graph.shape(x)[1] == 28 && graph.shape(x)[2] == 28;
  return {.channels = 6, .kernel = 5, .padding = small ? PadRule::half : PadRule::valid, .init = init};
}

/// Sum of 2 x 2 times a gain plus a bias, then the squashing function. The gain multiplies the mean here (a quarter of
/// the sum, so it is four times the paper's) and begins at 1, not at a random value of either sign.
Value subsample(Graph& graph, Value x, std::string_view name) {
  x = pool(graph, x, {.kind = PoolKind::average, .kernel = 2, .stride = 2});
  x = channel_affine(graph, x, name, {Initializer::Kind::constant, 1});
  return activation(graph, x, kSquash);
}

/// Convolution whose filters exist only for the links of table I.
Value sparse_c3(Graph& graph, Value x) {
  ConnectionsAttributes table{.outputs = 16, .inputs = 6, .links = {}};
  for (std::size_t output = 0; output < kC3Inputs.size(); ++output)
    for (int input : kC3Inputs[output]) table.links.emplace_back(static_cast<int>(output), input);
  const auto links = static_cast<std::int64_t>(table.links.size());
  Value compact;
  {
    Graph::Scope scope(graph, "C3");
    constexpr std::int64_t kMeanFanIn = 25 * 60 / 16;  // the maps see 3, 4 or 6 inputs
    compact = graph.add_parameter("filters", {links, 5, 5}, {kUniform, kMeanFanIn, 25, true});
  }
  const Value filters = graph.add(OpKind::scatter_connections, table, {compact});
  return conv_with(graph, x, filters, "C3", {.channels = 16, .kernel = 5, .padding = PadRule::valid});
}

/// The layout of 1998. The output units measure the squared distance of F6 to fixed codes of +-1; the softmax of
/// -distance / 2 equals the softmax of the inner product with the code, because all codes have one length, so the
/// layer is a dense one with fixed weights. The paper's codes are drawings of ASCII characters; ours are random signs,
/// which serve any classes.
Value layout_1998(Graph& graph, Value x, std::int64_t classes) {                       // 32 x 32 x 1
  x = activation(graph, conv(graph, x, "C1", c1_spec(graph, x, kUniform)), kSquash);   // 28 x 28 x 6
  x = subsample(graph, x, "S2");                                                       // 14 x 14 x 6
  x = activation(graph, sparse_c3(graph, x), kSquash);                                 // 10 x 10 x 16
  x = subsample(graph, x, "S4");                                                       // 5 x 5 x 16
  x = conv(graph, x, "C5", {.channels = 120, .kernel = 5, .padding = PadRule::valid, .init = kUniform});
  x = activation(graph, x, kSquash);                                                   // 1 x 1 x 120
  x = activation(graph, dense(graph, x, "F6", {.units = 84, .init = kUniform}), kSquash);
  return dense(graph, x, "output",
               {.units = classes, .trainable = false, .init = {Initializer::Kind::signs, 1}});
}

/// What most people call LeNet-5 today: every C3 map sees all S2 maps, max pooling, ReLU, trainable output.
Value layout_modern(Graph& graph, Value x, std::int64_t classes) {                     // 32 x 32 x 1
  x = relu(graph, conv(graph, x, "C1", c1_spec(graph, x, {Initializer::Kind::he_normal, 0})));  // 28 x 28 x 6
  x = pool(graph, x, {.kernel = 2, .stride = 2});                                      // 14 x 14 x 6
  x = relu(graph, conv(graph, x, "C3", {.channels = 16, .kernel = 5, .padding = PadRule::valid}));  // 10 x 10 x 16
  x = pool(graph, x, {.kernel = 2, .stride = 2});                                      // 5 x 5 x 16
  x = relu(graph, conv(graph, x, "C5", {.channels = 120, .kernel = 5, .padding = PadRule::valid}));  // 1 x 1 x 120
  x = relu(graph, dense(graph, x, "F6", {.units = 84}));
  return dense(graph, x, "output", {.units = classes});
}

}  // namespace

Value lenet5(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options) {
  return options.at("variant") == "modern" ? layout_modern(graph, x, classes) : layout_1998(graph, x, classes);
}

}  // namespace convoy
