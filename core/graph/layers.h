#pragma once
// Layers as a model file writes them: each call adds the layer's parameters and its op. `name` is the layer's name
// within the current scope. Filters are [o, k.., c / groups], weights [units, features].
#include <string_view>
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

/// One number for all axes, or one per axis.
struct Axes {
  PerAxis value{1, 1, 1};
  Axes(std::int64_t all) : value{all, all, all} {}
  Axes(std::initializer_list<std::int64_t> each);
};

enum class PadRule {
  half,           // (dilation (kernel - 1)) / 2 on both sides: "kernel / 2" of the papers
  valid,          // none
  same,           // output = ceil(input / stride); the odd pixel at the high side
  given           // pad_low, pad_high
};

struct ConvSpec {
  std::int64_t channels = 0;
  Axes kernel = 1;
  Axes stride = 1;
  Axes dilation = 1;
  std::int64_t groups = 1;
  PadRule padding = PadRule::half;
  PadMode pad_mode = PadMode::zero;
  Axes pad_low = 0;
  Axes pad_high = 0;
  bool bias = true;
  Initializer init{Initializer::Kind::he_normal, 0};
  Initializer bias_init{Initializer::Kind::constant, 0};
};
Value conv(Graph& graph, Value x, std::string_view name, const ConvSpec& spec);
/// The same with filters that another op made (spec.init unused).
Value conv_with(Graph& graph, Value x, Value filters, std::string_view name, const ConvSpec& spec);

struct DenseSpec {
  std::int64_t units = 0;
  bool bias = true;
  bool trainable = true;          // false: fixed weights (role constant), no bias
  Initializer init{Initializer::Kind::he_normal, 0};
  Initializer bias_init{Initializer::Kind::constant, 0};
};
/// A depthwise convolution, `multiplier` maps of each channel (layer "depthwise", spec's kernel, stride, padding; no bias), and a
/// 1 x 1 convolution to spec.channels (layer "pointwise"); Sifre 2014. spec.groups must be 1.
Value separable_conv(Graph& graph, Value x, std::string_view name, const ConvSpec& spec, std::int64_t multiplier = 1);
/// Flattens x [n, ...] to [n, features] first if need be.
Value dense(Graph& graph, Value x, std::string_view name, const DenseSpec& spec);

struct PoolSpec {
  PoolKind kind = PoolKind::max;
  Axes kernel = 2;
  Axes stride = 2;
  Axes pad_low = 0;
  Axes pad_high = 0;
  bool ceil = false;
  bool count_padding = false;
};
Value pool(Graph& graph, Value x, const PoolSpec& spec);
Value global_pool(Graph& graph, Value x, PoolKind kind = PoolKind::average);  // [n, s.., c] -> [n, 1.., c]

Value activation(Graph& graph, Value x, ActivationKind kind);
Value relu(Graph& graph, Value x);
/// x, or slope x below 0.
Value leaky_relu(Graph& graph, Value x, double slope = 0.01);
/// x, or alpha (exp(x) - 1) below 0.
Value elu(Graph& graph, Value x, double alpha = 1);
/// relu(x) + a min(x, 0) with one learnable a per channel, which weight decay leaves alone (He et al. 2015, section 2.1).
Value prelu(Graph& graph, Value x, std::string_view name, double first = 0.25);
Value scale(Graph& graph, Value x, double factor);
/// t y + (1 - t) x: Srivastava et al. 2015, "Training Very Deep Networks", equation 3.
Value gate(Graph& graph, Value t, Value y, Value x);
Value local_response(Graph& graph, Value x, const LocalResponseAttributes& attributes = {});
/// Rows of channels, or with `whole_samples` all numbers of a sample, to mean 0 and variance 1; then gain and bias per channel.
Value layer_norm(Graph& graph, Value x, std::string_view name, double epsilon = 1e-5, bool whole_samples = false);
/// To the extents of `size`; bilinear (pixels' centres at halves) or nearest.
Value resample(Graph& graph, Value x, Axes size, bool linear);
/// Training: batch statistics, running mean and variance kept as state. Inference, and where the layer is frozen: the running
/// ones.
Value batch_norm(Graph& graph, Value x, std::string_view name, double epsilon = 1e-5);
/// Identity for inference and for rate 0. Uses the graph's input "keys".
Value dropout(Graph& graph, Value x, std::string_view name, double rate);
/// Stochastic depth (Huang et al. 2016): while training, each sample leaves the branch x out at the rate; for inference, x times
/// 1 - rate.
Value drop_path(Graph& graph, Value x, std::string_view name, double rate);
struct JoinSpec {
  double rate = 0.15;              // of paths dropped by samples that draw each path
  double global = 0.5;             // share of samples that take one column through the network
  int columns = 1;                 // of the network; paths belong to the first of them
};
/// The mean of the paths that a sample takes (PathsAttributes); for inference, of all. Uses the graph's input "keys".
Value join(Graph& graph, const std::vector<Value>& paths, std::string_view name, const JoinSpec& spec);
Value add(Graph& graph, const std::vector<Value>& terms);
Value multiply(Graph& graph, Value a, Value b);
/// x g + b per channel with learnable gain and bias (LeNet-5's subsampling).
Value channel_affine(Graph& graph, Value x, std::string_view name, Initializer gain);
Value concat(Graph& graph, const std::vector<Value>& parts);
Value slice_channels(Graph& graph, Value x, std::int64_t begin, std::int64_t count);
/// Zero channels on both sides (He et al. 2016, shortcut A).
Value pad_channels(Graph& graph, Value x, std::int64_t before, std::int64_t total);
Value flatten(Graph& graph, Value x);
Value reshape(Graph& graph, Value x, Shape shape);

}  // namespace convoy
