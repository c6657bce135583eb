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
};
Value resnet(Graph& graph, Value x, std::int64_t classes, const ResNetRow& row, const ResNetSpec& spec);

/// layers = 6 blocks + 2.
Value resnet_small(Graph& graph, Value x, std::int64_t classes, int layers, Shortcut shortcut);

/// depth = 6 blocks + 4; `dropout`: between the convolutions of a block.
Value wide_resnet(Graph& graph, Value x, std::int64_t classes, int depth, std::int64_t widening, double dropout);

/// Columns of table 1 of the VGG paper.
enum class VggColumn { A, B, C, D, E };
Value vgg(Graph& graph, Value x, std::int64_t classes, VggColumn column, bool batch_norms);

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
