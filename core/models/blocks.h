#pragma once
// What networks share, and the builders that registry.cpp lists with numbers of their own.
#include <array>
#include <span>

#include "core/graph/layers.h"
#include "core/models/registry.h"

namespace convoy {

/// He et al. 2016, section 3.3 and table 3. A: every second pixel and zero channels behind its own, no parameters; B: a
/// projection (1 x 1 and batch norm) where the shape changes; C: a projection everywhere. none: a plain network.
enum class Shortcut { none, A, B, C };
Shortcut shortcut_of(const ModelOptions& options);

/// Huang et al. 2016, "Deep Networks with Stochastic Depth", equation 4: the rate of block l of L rises with l to `last`.
class StochasticDepth {
 public:
  StochasticDepth(int blocks, double last) : blocks_(blocks), last_(last) {}
  /// The branch of the next block.
  Value operator()(Graph& graph, Value branch) { return drop_path(graph, branch, "drop_path", ++block_ * last_ / blocks_); }

 private:
  int block_ = 0, blocks_;
  double last_;
};

/// x for an output of `channels` at the stride. A projection's layers are "shortcut" and "shortcut_bn".
Value shortcut(Graph& graph, Value x, Shortcut kind, std::int64_t channels, std::int64_t stride);

struct ResNetRow {
  int layers;
  std::array<int, 4> blocks;
  bool bottleneck;
};
std::span<const ResNetRow> resnet_table();

struct ResNetSpec {
  Shortcut shortcut = Shortcut::B;
  bool stride_on_first = true;     // of a bottleneck: on its first 1 x 1 (the paper), else on its 3 x 3
  bool bottleneck = false;
  std::int64_t widening = 1;       // of a bottleneck's 3 x 3
  double last_drop = 0;            // stochastic depth: the rate at which the last block's branch is dropped
};
Value resnet(Graph& graph, Value x, std::int64_t classes, const ResNetRow& row, const ResNetSpec& spec);

/// layers = 6 blocks + 2. last_drop: as ResNetSpec's.
Value resnet_small(Graph& graph, Value x, std::int64_t classes, int layers, Shortcut shortcut, double last_drop = 0);

/// depth = 6 blocks + 4; `dropout`: between the convolutions of a block.
Value wide_resnet(Graph& graph, Value x, std::int64_t classes, int depth, std::int64_t widening, double dropout);

/// Columns of table 1 of the VGG paper.
enum class VggColumn { A, A_LRN, B, C, D, E };
Value vgg(Graph& graph, Value x, std::int64_t classes, VggColumn column, bool batch_norms);

/// 1 or 2 towers.
Value alexnet(Graph& graph, Value x, std::int64_t classes, int towers);
Value alexnet_2014(Graph& graph, Value x, std::int64_t classes);

Value convnet(Graph& graph, Value x, std::int64_t classes, ActivationKind kind);

struct GoogLeNetSpec {
  bool auxiliary = true;           // the two heads, in graphs for training
  bool batch_norm = false;         // behind every convolution, in the place of biases and local response normalisation
  bool library = false;            // the variant of libraries; has batch norm
  bool small_images = false;       // a first convolution of 3 x 3 at stride 1 and no pooling behind it
  double width = 1;                // of all layers but the last
};
Value googlenet(Graph& graph, Value x, std::int64_t classes, const GoogLeNetSpec& spec);

struct HighwaySpec {
  std::int64_t width = 50;
  bool gates = true;               // false: the plain net beside it
  double gate_bias = -2;
  ActivationKind activation = ActivationKind::relu;
};
/// `layers` before the last.
Value highway(Graph& graph, Value x, std::int64_t classes, int layers, const HighwaySpec& spec);
Value highway_conv(Graph& graph, Value x, std::int64_t classes, const HighwaySpec& spec);

struct FractalNetSpec {
  int columns = 3;                 // C; depth 5 2^(C - 1)
  std::int64_t width = 64;         // maps of the first block; then 2, 4, 8, 8 times as many
  double drop_path = 0.15;         // of a join's inputs, where a sample draws each
  double global = 0.5;             // share of samples that take one column
  double dropout = 0.4;            // of the last block; rises from 0
};
Value fractalnet(Graph& graph, Value x, std::int64_t classes, const FractalNetSpec& spec);

struct DenseNetSpec {
  std::int64_t growth = 12;        // k
  std::vector<int> layers;         // of each block
  bool bottleneck = false;         // B: 1 x 1 of 4 k maps before every 3 x 3
  double compression = 1;          // C: theta
  bool large_images = false;       // the stem of 224 x 224 images
  double dropout = 0;              // behind every convolution but the first
};
Value densenet(Graph& graph, Value x, std::int64_t classes, const DenseNetSpec& spec);

}  // namespace convoy
