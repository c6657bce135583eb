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
};
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
/// Training: batch statistics, running mean and variance kept as state. Inference, and where the layer is frozen: the running
/// ones.
Value batch_norm(Graph& graph, Value x, std::string_view name, double epsilon = 1e-5);
/// Identity for inference and for rate 0. Uses the graph's input "keys".
Value dropout(Graph& graph, Value x, std::string_view name, double rate);
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
