#include "core/graph/layers.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy {

Axes::Axes(std::initializer_list<std::int64_t> each) {
  if (each.size() < 1 || each.size() > 3)
    throw UsageError(fmt::format("a spatial op has 1 to 3 axes, but {} numbers were given", each.size()));
  std::size_t axis = 0;
  for (std::int64_t number : each) value[axis++] = number;
}

namespace {

/// Spatial axes of x [n, s.., c].
int spatial_axes(const Graph& graph, Value x, std::string_view name) {
  const int axes = graph.shape(x).rank() - 2;
  if (axes < 1 || axes > 3)
    throw UsageError(fmt::format("layer \"{}\" needs an input [n, s1 .. sk, c] with 1 to 3 spatial axes, but got {}",
                                 name, graph.shape(x).str()));
  return axes;
}

struct Border {
  PerAxis low{}, high{};
};

/// Resolves a padding rule against the input's extents.
Border border_of(const ConvSpec& spec, const Shape& x, int axes) {
  Border border;
  for (int axis = 0; axis < axes; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t reach = spec.dilation.value[a] * (spec.kernel.value[a] - 1);
    const std::int64_t extent = x[1 + axis], stride = spec.stride.value[a];
    switch (spec.padding) {
      case PadRule::half: border.low[a] = border.high[a] = reach / 2; break;
      case PadRule::valid: break;
      case PadRule::same: {
        const std::int64_t output = stride > 0 ? (extent + stride - 1) / stride : 0;
        const std::int64_t total = std::max<std::int64_t>((output - 1) * stride + reach + 1 - extent, 0);
        border.low[a] = total / 2;
        border.high[a] = total - total / 2;
        break;
      }
      case PadRule::given:
        border.low[a] = spec.pad_low.value[a];
        border.high[a] = spec.pad_high.value[a];
        break;
    }
  }
  return border;
}

std::int64_t kernel_positions(const PerAxis& kernel, int axes) {
  std::int64_t positions = 1;
  for (int axis = 0; axis < axes; ++axis) positions *= kernel[static_cast<std::size_t>(axis)];
  return positions;
}

ConvAttributes attributes_of(const Graph& graph, Value x, const ConvSpec& spec, int axes) {
  const Border border = border_of(spec, graph.shape(x), axes);
  ConvAttributes attributes{.axes = axes,
                            .channels = spec.channels,
                            .kernel = spec.kernel.value,
                            .stride = spec.stride.value,
                            .dilation = spec.dilation.value,
                            .groups = spec.groups,
                            .pad_mode = spec.pad_mode,
                            .pad_low = border.low,
                            .pad_high = border.high,
                            .bias = spec.bias};
  for (auto a = static_cast<std::size_t>(axes); a < 3; ++a) {  // unused axes hold their neutral values
    attributes.kernel[a] = attributes.stride[a] = attributes.dilation[a] = 1;
    attributes.pad_low[a] = attributes.pad_high[a] = 0;
  }
  return attributes;
}

}  // namespace

Value conv_with(Graph& graph, Value x, Value filters, std::string_view name, const ConvSpec& spec) {
  Graph::Scope scope(graph, name);
  const int axes = spatial_axes(graph, x, name);
  std::vector<Value> inputs{x, filters};
  if (spec.bias)
    inputs.push_back(graph.add_parameter("bias", {spec.channels}, {spec.bias_init, 1, 1, false}));
  return graph.add(OpKind::conv, attributes_of(graph, x, spec, axes), inputs);
}

Value conv(Graph& graph, Value x, std::string_view name, const ConvSpec& spec) {
  const int axes = spatial_axes(graph, x, name);
  const std::int64_t channels = graph.shape(x)[-1];
  if (spec.channels < 1 || spec.groups < 1 || channels % spec.groups || spec.channels % spec.groups)
    throw UsageError(fmt::format("layer \"{}\": {} groups do not divide {} input and {} output channels", name,
                                 spec.groups, channels, spec.channels));
  std::vector<std::int64_t> extents{spec.channels};
  for (int axis = 0; axis < axes; ++axis) extents.push_back(spec.kernel.value[static_cast<std::size_t>(axis)]);
  extents.push_back(channels / spec.groups);
  const std::int64_t positions = kernel_positions(spec.kernel.value, axes);
  Value filters;
  {
    Graph::Scope scope(graph, name);
    filters = graph.add_parameter("filters", Shape(extents),
                                  {spec.init, positions * channels / spec.groups,
                                   positions * spec.channels / spec.groups, true});
  }
  return conv_with(graph, x, filters, name, spec);
}

Value separable_conv(Graph& graph, Value x, std::string_view name, const ConvSpec& spec, std::int64_t multiplier) {
  Graph::Scope scope(graph, name);
  ConvSpec depthwise = spec;
  depthwise.groups = graph.shape(x)[-1];
  depthwise.channels = depthwise.groups * multiplier;
  depthwise.bias = false;
  x = conv(graph, x, "depthwise", depthwise);
  return conv(graph, x, "pointwise",
              {.channels = spec.channels, .bias = spec.bias, .init = spec.init, .bias_init = spec.bias_init});
}

namespace {

Value dense_weights(Graph& graph, std::int64_t features, const DenseSpec& spec) {
  const ParameterInfo info{spec.init, features, spec.units, true};
  return spec.trainable ? graph.add_parameter("weights", {spec.units, features}, info)
                        : graph.add_constant("weights", {spec.units, features}, info);
}

/// The dense layer of the current scope at every place of x where it fits. `trained`: what it was given for one sample.
Value dense_as_conv(Graph& graph, Value x, const Shape& trained, const DenseSpec& spec) {
  const int axes = graph.shape(x).rank() - 2;
  const std::int64_t channels = graph.shape(x)[-1];
  ConvAttributes attributes{.axes = axes, .channels = spec.units, .bias = spec.bias && spec.trainable};
  std::vector<std::int64_t> extents{spec.units};
  for (int axis = 0; axis < axes; ++axis) {
    const std::int64_t kernel = trained.rank() == 1 ? 1 : trained[axis];
    attributes.kernel[static_cast<std::size_t>(axis)] = kernel;
    extents.push_back(kernel);
  }
  extents.push_back(channels);
  const Value weights = dense_weights(graph, trained.elements(0, trained.rank()), spec);
  std::vector<Value> inputs{x, reshape(graph, weights, Shape(extents))};
  if (attributes.bias) inputs.push_back(graph.add_parameter("bias", {spec.units}, {spec.bias_init, 1, 1, false}));
  return graph.add(OpKind::conv, attributes, inputs);
}

}  // namespace

Value dense(Graph& graph, Value x, std::string_view name, const DenseSpec& spec) {
  const auto extents = graph.shape(x).extents();
  const Shape sample(std::vector<std::int64_t>(extents.begin() + 1, extents.end()));
  const bool map = graph.fully_convolutional && sample.rank() > 1;
  if (!map && sample.rank() > 1) x = flatten(graph, x);
  Graph::Scope scope(graph, name);
  if (map) return dense_as_conv(graph, x, graph.dense_inputs.at(graph.scope()), spec);
  if (!graph.fully_convolutional) graph.dense_inputs[graph.scope()] = sample;
  std::vector<Value> inputs{x, dense_weights(graph, graph.shape(x)[1], spec)};
  const bool bias = spec.bias && spec.trainable;
  if (bias) inputs.push_back(graph.add_parameter("bias", {spec.units}, {spec.bias_init, 1, 1, false}));
  return graph.add(OpKind::dense, DenseAttributes{.units = spec.units, .bias = bias}, inputs);
}

Value pool(Graph& graph, Value x, const PoolSpec& spec) {
  const int axes = spatial_axes(graph, x, "pool");
  PoolAttributes attributes{.kind = spec.kind,
                            .axes = axes,
                            .kernel = spec.kernel.value,
                            .stride = spec.stride.value,
                            .pad_low = spec.pad_low.value,
                            .pad_high = spec.pad_high.value,
                            .ceil = spec.ceil,
                            .count_padding = spec.count_padding};
  for (auto a = static_cast<std::size_t>(axes); a < 3; ++a) {
    attributes.kernel[a] = attributes.stride[a] = 1;
    attributes.pad_low[a] = attributes.pad_high[a] = 0;
  }
  return graph.add(OpKind::pool, attributes, {x});
}

Value global_pool(Graph& graph, Value x, PoolKind kind) {
  const int axes = spatial_axes(graph, x, "global pool");
  return graph.add(OpKind::pool, PoolAttributes{.kind = kind, .axes = axes, .global = true}, {x});
}

Value activation(Graph& graph, Value x, ActivationKind kind) {
  return kind == ActivationKind::none ? x : graph.add(OpKind::activation, ActivationAttributes{kind}, {x});
}

Value relu(Graph& graph, Value x) { return activation(graph, x, ActivationKind::relu); }

Value leaky_relu(Graph& graph, Value x, double slope) {
  return graph.add(OpKind::activation, ActivationAttributes{ActivationKind::leaky_relu, slope}, {x});
}

Value elu(Graph& graph, Value x, double alpha) {
  return graph.add(OpKind::activation, ActivationAttributes{ActivationKind::elu, alpha}, {x});
}

Value prelu(Graph& graph, Value x, std::string_view name, double first) {
  Graph::Scope scope(graph, name);
  const Value slope =
      graph.add_parameter("slope", {graph.shape(x)[-1]}, {{Initializer::Kind::constant, first}, 1, 1, false});
  const Value below = activation(graph, x, ActivationKind::negative_part);
  return add(graph, {relu(graph, x), graph.add(OpKind::multiply_channels, {}, {below, slope})});
}

Value scale(Graph& graph, Value x, double factor) {
  return graph.add(OpKind::activation, ActivationAttributes{ActivationKind::scale, factor}, {x});
}

Value gate(Graph& graph, Value t, Value y, Value x) {
  const Value carry = activation(graph, t, ActivationKind::complement);
  return add(graph, {multiply(graph, t, y), multiply(graph, carry, x)});
}

Value local_response(Graph& graph, Value x, const LocalResponseAttributes& attributes) {
  return graph.add(OpKind::local_response, attributes, {x});
}

Value layer_norm(Graph& graph, Value x, std::string_view name, double epsilon, bool whole_samples) {
  Graph::Scope scope(graph, name);
  const Shape shape = graph.shape(x), channels{shape[-1]};
  if (whole_samples && shape.rank() > 2) x = flatten(graph, x);
  x = graph.add_op(OpKind::layer_norm, LayerNormAttributes{epsilon}, {x})[0];
  if (graph.shape(x) != shape) x = reshape(graph, x, shape);
  const Value gain = graph.add_parameter("gain", channels, {{Initializer::Kind::constant, 1}, 1, 1, false});
  const Value bias = graph.add_parameter("bias", channels, {{}, 1, 1, false});
  return graph.add(OpKind::add_channels, {}, {graph.add(OpKind::multiply_channels, {}, {x, gain}), bias});
}

Value resample(Graph& graph, Value x, Axes size, bool linear) {
  ResampleAttributes attributes{.axes = spatial_axes(graph, x, "resample"), .linear = linear, .size = size.value};
  for (auto a = static_cast<std::size_t>(attributes.axes); a < 3; ++a) attributes.size[a] = 1;
  return graph.add(OpKind::resample, attributes, {x});
}

Value batch_norm(Graph& graph, Value x, std::string_view name, double epsilon) {
  Graph::Scope scope(graph, name);
  const Shape channels{graph.shape(x)[-1]};
  constexpr auto kConstant = Initializer::Kind::constant;
  const Value gamma = graph.add_parameter("gamma", channels, {{kConstant, 1}, 1, 1, false});
  const Value beta = graph.add_parameter("beta", channels, {{kConstant, 0}, 1, 1, false});
  const Value mean = graph.add_state("mean", channels, {kConstant, 0});
  const Value variance = graph.add_state("variance", channels, {kConstant, 1});
  const BatchNormAttributes attributes{.epsilon = epsilon};
  if (!graph.training || graph.info(gamma).parameter.frozen)
    return graph.add(OpKind::batch_norm_inference, attributes, {x, gamma, beta, mean, variance});
  std::vector<Value> outputs;
  if (graph.normalised_micro_batches > 0) {
    const GlobalBatchNormAttributes global{.epsilon = epsilon, .micro_batches = graph.normalised_micro_batches};
    const Value moments = graph.add(OpKind::batch_norm_moments, {}, {x, mean});
    const Value sums = graph.add(OpKind::batch_sum, BatchSumAttributes{count_ops(graph, OpKind::batch_sum)}, {moments});
    outputs = graph.add_op(OpKind::batch_norm_global, global, {x, gamma, beta, mean, sums});
  } else {
    outputs = graph.add_op(OpKind::batch_norm, attributes, {x, gamma, beta});
  }
  graph.running_statistics().push_back({mean, outputs[1]});
  graph.running_statistics().push_back({variance, outputs[3]});
  return outputs[0];
}

namespace {

/// The graph's input "keys" for the samples of x.
Value sample_keys(Graph& graph, Value x) {
  const Value keys = graph.find("keys");
  return keys.exists() ? keys : graph.add_input("keys", {graph.shape(x)[0], 2}, DType::u64);
}

}  // namespace

Value dropout(Graph& graph, Value x, std::string_view name, double rate) {
  if (!(rate >= 0 && rate < 1))
    throw UsageError(fmt::format("layer \"{}\": a dropout rate lies in [0, 1), but {} was given", name, rate));
  if (!graph.training || rate == 0) return x;
  const Value keys = sample_keys(graph, x);
  Graph::Scope scope(graph, name);
  return graph.add(OpKind::dropout, DropoutAttributes{rate, graph.dropout_seed, graph.scope()}, {x, keys});
}

Value drop_path(Graph& graph, Value x, std::string_view name, double rate) {
  if (!(rate >= 0 && rate < 1))
    throw UsageError(fmt::format("layer \"{}\": a path is dropped at a rate in [0, 1), but {} was given", name, rate));
  if (rate == 0) return x;
  if (!graph.training) return scale(graph, x, 1 - rate);
  const Value keys = sample_keys(graph, x);
  Graph::Scope scope(graph, name);
  const PathsAttributes paths{.rate = rate, .seed = graph.dropout_seed, .name = graph.scope(), .real = graph.real()};
  return graph.add(OpKind::scale_samples, {}, {x, graph.add(OpKind::path_weights, paths, {keys})});
}

Value join(Graph& graph, const std::vector<Value>& paths, std::string_view name, const JoinSpec& spec) {
  if (paths.size() == 1) return paths.front();
  if (!graph.training || (spec.rate == 0 && spec.global == 0))
    return scale(graph, add(graph, paths), 1 / static_cast<double>(paths.size()));
  const Value keys = sample_keys(graph, paths.front());
  Graph::Scope scope(graph, name);
  const PathsAttributes attributes{.paths = static_cast<int>(paths.size()), .rate = spec.rate, .keeps_one = true,
                                   .global = spec.global, .columns = spec.columns, .seed = graph.dropout_seed,
                                   .name = graph.scope(), .network = "columns", .real = graph.real()};
  const std::vector<Value> weights = graph.add_op(OpKind::path_weights, attributes, {keys});
  std::vector<Value> terms;
  for (std::size_t i = 0; i < paths.size(); ++i) terms.push_back(graph.add(OpKind::scale_samples, {}, {paths[i], weights[i]}));
  return add(graph, terms);
}

Value add(Graph& graph, const std::vector<Value>& terms) {
  return terms.size() == 1 ? terms.front() : graph.add(OpKind::add, {}, terms);
}

Value multiply(Graph& graph, Value a, Value b) { return graph.add(OpKind::multiply, {}, {a, b}); }

Value channel_affine(Graph& graph, Value x, std::string_view name, Initializer gain) {
  Graph::Scope scope(graph, name);
  const Shape channels{graph.shape(x)[-1]};
  const Value scale = graph.add_parameter("gain", channels, {gain, 1, 1, true});
  const Value bias = graph.add_parameter("bias", channels, {{}, 1, 1, false});
  const Value scaled = graph.add(OpKind::multiply_channels, {}, {x, scale});
  return graph.add(OpKind::add_channels, {}, {scaled, bias});
}

Value concat(Graph& graph, const std::vector<Value>& parts) {
  return parts.size() == 1 ? parts.front() : graph.add(OpKind::concat, {}, parts);
}

Value slice_channels(Graph& graph, Value x, std::int64_t begin, std::int64_t count) {
  return graph.add(OpKind::slice, ChannelsAttributes{begin, count}, {x});
}

Value pad_channels(Graph& graph, Value x, std::int64_t before, std::int64_t total) {
  return graph.add(OpKind::pad_channels, ChannelsAttributes{before, total}, {x});
}

Value flatten(Graph& graph, Value x) {
  const Shape& shape = graph.shape(x);
  return reshape(graph, x, {shape[0], shape.elements(1, shape.rank())});
}

Value reshape(Graph& graph, Value x, Shape shape) {
  return graph.add(OpKind::reshape, ReshapeAttributes{shape}, {x});
}

}  // namespace convoy
