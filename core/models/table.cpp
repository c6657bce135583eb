// The table of networks, and the families whose numbers stand in their names.
#include <fmt/format.h>

#include <charconv>

#include "core/models/zoo.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr std::string_view kResNet = "He et al. 2016, Deep Residual Learning for Image Recognition, table 1";
constexpr std::string_view kSmallResNet = "He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2";
constexpr std::string_view kWide = "Zagoruyko & Komodakis 2016, Wide Residual Networks";
constexpr std::string_view kVgg =
    "Simonyan & Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition, table 1";
constexpr std::string_view kDense = "Huang et al. 2017, Densely Connected Convolutional Networks";

const Shape kLarge{224, 224, 3}, kSmall{32, 32, 3};

ModelOption shortcut_option(std::string_view fallback) {
  return {"shortcut", fallback, "of blocks whose shape changes: A zero channels, B a projection; C projections everywhere",
          {"A", "B", "C"}};
}
ModelOption dropout_option(std::string_view help) { return {"dropout", "0", help, {}}; }

constexpr std::string_view kHighway = "Srivastava et al. 2015, Training Very Deep Networks";
constexpr std::string_view kFractal = "Larsson et al. 2017, FractalNet: Ultra-Deep Neural Networks without Residuals";

ModelOption depth_option() {
  return {"stochastic-depth", "0", "share of samples that leave out the last block's branch while training, [0, 1); blocks before it "
                                   "are left out less often, in proportion (Huang et al. 2016: 0.5)", {}};
}
double last_drop(const ModelOptions& o) { return parse_rate("stochastic-depth", o.at("stochastic-depth")); }

ModelEntry alexnet_entry() {
  return {"alexnet", "5 convolutions, 3 dense layers, in two towers",
          "Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural Networks", kLarge, 1000,
          {{"towers", "2", "2 as published, or 1: the same widths, every layer sees all maps", {"1", "2"}}},
          [](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return alexnet(graph, x, classes, o.at("towers") == "1" ? 1 : 2);
          }};
}

ModelEntry alexnet_2014_entry() {
  return {"alexnet-2014", "one narrower tower, without local response normalisation; what libraries call alexnet",
          "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks", kLarge, 1000, {},
          [](Graph& graph, Value x, std::int64_t classes, const ModelOptions&) { return alexnet_2014(graph, x, classes); }};
}

ModelEntry convnet_entry() {
  return {"convnet-4", "3 convolutions and a dense layer, for small images",
          "Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural Networks, figure 1", kSmall, 10,
          {{"activation", "relu", "behind every convolution", {"relu", "tanh"}}},
          [](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return convnet(graph, x, classes, o.at("activation") == "tanh" ? ActivationKind::tanh : ActivationKind::relu);
          }};
}

ModelEntry googlenet_entry() {
  return {"googlenet", "9 inception modules, two auxiliary heads; 22 layers",
          "Szegedy et al. 2015, Going Deeper with Convolutions, table 1", kLarge, 1000,
          {{"auxiliary", "on", "the two auxiliary heads, while training", {"on", "off"}},
           {"normalization", "none", "behind every convolution, in the place of biases and local response normalisation",
            {"none", "batch-norm"}},
           {"variant", "2014", "2014 as published; library: batch norm, 3x3 in the place of 5x5, last max pooling of 2x2",
            {"2014", "library"}},
           {"stem", "7x7", "the first convolution: 7x7 at stride 2 and a pooling, or 3x3 at stride 1 for small images", {"7x7", "3x3"}},
           {"width", "1", "factor of the number of maps of every layer but the last, 0.01 to 4", {}}},
          [](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            const bool library = o.at("variant") == "library";
            return googlenet(graph, x, classes,
                             {.auxiliary = o.at("auxiliary") == "on",
                              .batch_norm = library || o.at("normalization") == "batch-norm",
                              .library = library,
                              .small_images = o.at("stem") == "3x3",
                              .width = parse_number("width", o.at("width"), 0.01, 4)});
          }};
}

HighwaySpec highway_spec(const ModelOptions& o, std::int64_t width) {
  return {.width = width, .gates = o.at("gates") == "on", .gate_bias = parse_number("gate-bias", o.at("gate-bias"), -100, 100),
          .activation = o.at("activation") == "tanh" ? ActivationKind::tanh : ActivationKind::relu};
}

std::vector<ModelOption> highway_options() {
  return {{"gates", "on", "off: the plain net beside it", {"on", "off"}},
          {"gate-bias", "-2", "first bias of the transform gates; below 0 they begin closed", {}},
          {"activation", "relu", "of the transforms", {"relu", "tanh"}}};
}

ModelEntry highway_entry(int depth) {
  if (depth < 2) throw UsageError(fmt::format("a highway net has at least 2 layers before the last, not {}", depth));
  std::vector<ModelOption> options = highway_options();
  options.push_back({"units", "50", "of every layer (the paper's plain nets: 71)", {}});
  return {fmt::format("highway-{}", depth), fmt::format("a plain and {} highway layers of 50 units, and the output", depth - 1), kHighway,
          Shape{28, 28, 1}, 10, options, [depth](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            const auto units = parse_numbers("units", o.at("units"));
            if (units.size() != 1) throw UsageError("model.units is one number: all layers of a highway net are as wide");
            return highway(graph, x, classes, depth, highway_spec(o, units[0]));
          }};
}

ModelEntry highway_conv_entry(int width) {
  if (width < 1) throw UsageError("a convolutional highway net has at least 1 map");
  return {fmt::format("highway-conv-{}", width), fmt::format("a plain and 8 highway convolutions of {} maps, and the output", width),
          kHighway, Shape{28, 28, 1}, 10, highway_options(), [width](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return highway_conv(graph, x, classes, highway_spec(o, width));
          }};
}

ModelEntry fractalnet_entry(int depth) {
  int columns = 1;
  while (5 << (columns - 1) < depth && columns < 8) ++columns;
  if (5 << (columns - 1) != depth)
    throw UsageError(fmt::format("a fractal net of 5 blocks has 5, 10, 20, 40, 80, 160, 320 or 640 layers, not {}", depth));
  return {fmt::format("fractalnet-{}", depth), fmt::format("5 fractal blocks of {} columns, {} layers deep", columns, depth), kFractal,
          kSmall, 10,
          {{"width", "64", "maps of the first block; then 2, 4, 8 and 8 times as many", {}},
           {"drop-path", "0.15", "share of the paths into a join that a sample leaves out, [0, 1)", {}},
           {"global", "0.5", "share of samples that take one column through the network instead, 0 to 1", {}},
           {"dropout", "0.4", "share of maps dropped in the last block, [0, 1); rises from 0 in the first", {}}},
          [columns](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            const auto width = parse_numbers("width", o.at("width"));
            if (width.size() != 1) throw UsageError("model.width is one number: the maps of the first block");
            return fractalnet(graph, x, classes,
                              {.columns = columns, .width = width[0], .drop_path = parse_rate("drop-path", o.at("drop-path")),
                               .global = parse_number("global", o.at("global"), 0, 1),
                               .dropout = parse_rate("dropout", o.at("dropout"))});
          }};
}

ModelEntry lenet_entry() {
  return {"lenet-5",
          "digits: 2 convolutions, 2 subsamplings, 3 dense layers; 60,000 parameters",
          "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, section II.B",
          {32, 32, 1},
          10,
          {{"variant", "1998", "1998: sparse C3, trainable subsampling, fixed output codes; modern: full C3, max "
                               "pooling, ReLU, trainable output",
            {"1998", "modern"}}},
          lenet5};
}

ModelEntry mlp_entry() {
  return {"mlp",
          "dense layers only",
          "Rumelhart et al. 1986, Learning representations by back-propagating errors",
          {28, 28, 1},
          10,
          {{"hidden", "256,128", "units of the hidden layers, separated by commas", {}},
           {"activation", "relu", "after every hidden layer", {"relu", "tanh", "sigmoid"}},
           dropout_option("share of units or maps dropped while training, [0, 1)")},
          mlp};
}

ModelEntry resnet_entry(const ResNetRow& row) {
  std::vector<ModelOption> options{shortcut_option("B"), depth_option()};
  if (row.bottleneck)
    options.push_back({"stride-on", "1x1", "which convolution of a bottleneck has the stride: the first 1x1 as published, or "
                                           "the 3x3 as most libraries have it", {"1x1", "3x3"}});
  return {fmt::format("resnet-{}", row.layers), fmt::format("residual network, {} layers", row.layers), kResNet, kLarge, 1000,
          options, [row](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return resnet(graph, x, classes, row,
                          {.shortcut = shortcut_of(o), .stride_on_first = !row.bottleneck || o.at("stride-on") == "1x1",
                           .bottleneck = row.bottleneck, .last_drop = last_drop(o)});
          }};
}

ModelEntry wide_resnet_50() {
  const ResNetRow row = resnet_table()[2];
  return {"wide-resnet-50-2", "resnet-50 whose 3 x 3 convolutions are twice as wide", kWide, kLarge, 1000, {},
          [row](Graph& graph, Value x, std::int64_t classes, const ModelOptions&) {
            return resnet(graph, x, classes, row, {.stride_on_first = false, .bottleneck = true, .widening = 2});
          }};
}

ModelEntry plain_entry(const ResNetRow& row) {
  return {fmt::format("plain-{}", row.layers), fmt::format("resnet-{} without shortcuts", row.layers), kResNet, kLarge, 1000, {},
          [row](Graph& graph, Value x, std::int64_t classes, const ModelOptions&) {
            return resnet(graph, x, classes, row, {.shortcut = Shortcut::none});
          }};
}

ModelEntry small_resnet_entry(int layers, bool plain) {
  if (plain)
    return {fmt::format("plain-{}", layers), fmt::format("resnet-{} without shortcuts", layers), kSmallResNet, kSmall, 10, {},
            [layers](Graph& graph, Value x, std::int64_t classes, const ModelOptions&) {
              return resnet_small(graph, x, classes, layers, Shortcut::none);
            }};
  return {fmt::format("resnet-{}", layers), fmt::format("residual network for small images, {} layers", layers), kSmallResNet,
          kSmall, 10, {shortcut_option("A"), depth_option()},
          [layers](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return resnet_small(graph, x, classes, layers, shortcut_of(o), last_drop(o));
          }};
}

ModelEntry wide_entry(int depth, int widening) {
  if (depth < 10 || (depth - 4) % 6 || widening < 1)
    throw UsageError(fmt::format("a wide residual net for small images has 6 n + 4 layers (10, 16, 22, 28, 40) and is 1 or more "
                                 "times as wide, not {} layers and {} times", depth, widening));
  return {fmt::format("wide-resnet-{}-{}", depth, widening),
          fmt::format("pre-activation residual network for small images, {} layers, {} times as wide", depth, widening), kWide,
          kSmall, 10, {dropout_option("share of units or maps dropped while training, [0, 1)")},
          [depth, widening](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return wide_resnet(graph, x, classes, depth, widening, parse_rate("dropout", o.at("dropout")));
          }};
}

ModelEntry vgg_entry(std::string name, VggColumn column, std::string summary) {
  return {std::move(name), std::move(summary), kVgg, kLarge, 1000,
          {{"normalization", "none", "behind every convolution", {"none", "batch-norm"}}},
          [column](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return vgg(graph, x, classes, column, o.at("normalization") == "batch-norm");
          }};
}

ModelEntry large_densenet(int layers, std::int64_t growth, std::vector<int> blocks) {
  return {fmt::format("densenet-{}", layers), fmt::format("densely connected network, {} layers, growth {}", layers, growth),
          kDense, kLarge, 1000, {dropout_option("share of units or maps dropped while training, [0, 1)")},
          [growth, blocks](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return densenet(graph, x, classes,
                            {.growth = growth, .layers = blocks, .bottleneck = true, .compression = 0.5, .large_images = true,
                             .dropout = parse_rate("dropout", o.at("dropout"))});
          }};
}

/// `bc`: with bottlenecks and compression.
ModelEntry small_densenet(int layers, int growth, bool bc) {
  const int step = bc ? 6 : 3;
  if (layers < 4 + step || (layers - 4) % step || growth < 1)
    throw UsageError(fmt::format("a densenet{} for small images has {} n + 4 layers and a growth of at least 1, not {} and {}",
                                 bc ? "-bc" : "", step, layers, growth));
  return {fmt::format("densenet-{}{}-{}", bc ? "bc-" : "", layers, growth),
          fmt::format("densely connected network for small images, {} layers, growth {}", layers, growth), kDense, kSmall, 10,
          {dropout_option("share of units or maps dropped while training, [0, 1)")},
          [=](Graph& graph, Value x, std::int64_t classes, const ModelOptions& o) {
            return densenet(graph, x, classes,
                            {.growth = growth, .layers = std::vector<int>(3, (layers - 4) / step), .bottleneck = bc,
                             .compression = bc ? 0.5 : 1, .dropout = parse_rate("dropout", o.at("dropout"))});
          }};
}

/// The two whole numbers of "A-B", each up to 10,000 and written without leading zeros.
std::optional<std::pair<int, int>> two_numbers(std::string_view text) {
  int a = 0, b = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, a);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') return {};
  const auto second = std::from_chars(first.ptr + 1, end, b);
  if (second.ec != std::errc{} || second.ptr != end || a < 1 || b < 1 || a > 10000 || b > 10000) return {};
  if (fmt::format("{}-{}", a, b) != text) return {};
  return std::pair(a, b);
}

}  // namespace

std::vector<ModelEntry> make_model_table() {
  std::vector<ModelEntry> entries{lenet_entry(), mlp_entry(), alexnet_entry(), alexnet_2014_entry(), convnet_entry()};
  entries.push_back(vgg_entry("vgg-11", VggColumn::A, "8 convolutions, 3 dense layers (column A)"));
  entries.push_back(vgg_entry("vgg-11-lrn", VggColumn::A_LRN, "vgg-11 with local response normalisation behind the first convolution"));
  entries.push_back(vgg_entry("vgg-13", VggColumn::B, "10 convolutions, 3 dense layers (column B)"));
  entries.push_back(vgg_entry("vgg-16", VggColumn::D, "13 convolutions, 3 dense layers (column D)"));
  entries.push_back(vgg_entry("vgg-16-c", VggColumn::C, "13 convolutions, three of them 1 x 1, 3 dense layers (column C)"));
  entries.push_back(vgg_entry("vgg-19", VggColumn::E, "16 convolutions, 3 dense layers (column E)"));
  entries.push_back(googlenet_entry());
  for (int depth : {10, 20, 50, 100}) entries.push_back(highway_entry(depth));
  for (int width : {16, 32}) entries.push_back(highway_conv_entry(width));
  for (const ResNetRow& row : resnet_table()) entries.push_back(resnet_entry(row));
  for (const ResNetRow& row : resnet_table().first(2)) entries.push_back(plain_entry(row));
  for (int layers : {20, 32, 44, 56, 110, 1202}) entries.push_back(small_resnet_entry(layers, false));
  for (int layers : {20, 32, 44, 56}) entries.push_back(small_resnet_entry(layers, true));
  entries.push_back(wide_resnet_50());
  for (const auto& [depth, widening] : {std::pair{28, 10}, {16, 4}, {40, 4}}) entries.push_back(wide_entry(depth, widening));
  for (int depth : {5, 10, 20, 40, 80, 160}) entries.push_back(fractalnet_entry(depth));
  entries.push_back(large_densenet(121, 32, {6, 12, 24, 16}));
  entries.push_back(large_densenet(161, 48, {6, 12, 36, 24}));
  entries.push_back(large_densenet(169, 32, {6, 12, 32, 32}));
  entries.push_back(large_densenet(201, 32, {6, 12, 48, 32}));
  entries.push_back(small_densenet(40, 12, false));
  entries.push_back(small_densenet(100, 12, true));
  return entries;
}

std::optional<ModelEntry> model_of_family(std::string_view name) {
  const auto numbers_behind = [&](std::string_view prefix) {
    return name.starts_with(prefix) ? two_numbers(name.substr(prefix.size())) : std::nullopt;
  };
  if (const auto bc = numbers_behind("densenet-bc-")) return small_densenet(bc->first, bc->second, true);
  if (const auto dense = numbers_behind("densenet-")) return small_densenet(dense->first, dense->second, false);
  if (const auto wide = numbers_behind("wide-resnet-")) return wide_entry(wide->first, wide->second);
  const auto number_behind = [&](std::string_view prefix) -> std::optional<int> {
    const auto both = name.starts_with(prefix) ? two_numbers(fmt::format("1-{}", name.substr(prefix.size()))) : std::nullopt;
    return both ? std::optional(both->second) : std::nullopt;
  };
  if (const auto width = number_behind("highway-conv-")) return highway_conv_entry(*width);
  if (const auto depth = number_behind("highway-")) return highway_entry(*depth);
  if (const auto depth = number_behind("fractalnet-")) return fractalnet_entry(*depth);
  return {};
}

}  // namespace convoy
