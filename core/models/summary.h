#pragma once
// What a model is, layer by layer: for `convoy model show`, for `convoy plan` and for tests.
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

struct LayerRow {
  std::string name;                 // "stage1/block1/conv1"
  std::string kind;                 // "conv 3x3/2", "max pool 2x2/2", ...
  Shape output;                     // of one sample, [s.., c] or [units]
  std::int64_t parameters = 0;
  double multiply_adds = 0;         // forward, one sample
  std::vector<std::int64_t> receptive_field;  // per spatial axis, in input pixels; empty once all axes are flattened
  double activation_bytes = 0;      // of one sample's output
  std::vector<int> inputs;          // rows it reads; -1 is the model's input
};

struct ModelSummary {
  std::string model;
  Shape input;                      // [s.., c]
  std::vector<LayerRow> layers;
  std::int64_t parameters = 0;      // trainable
  std::int64_t constants = 0;       // fixed numbers that are not trained
  double multiply_adds = 0;
  double activation_bytes = 0;
};

/// Of a forward graph built with n = 1 (training = true, so that batch norm counts its parameters).
ModelSummary summarize(const Graph& graph, Value input, std::string model);

std::string summary_text(const ModelSummary& summary);
std::string summary_json(const ModelSummary& summary);
/// Graphviz.
std::string summary_dot(const ModelSummary& summary);

}  // namespace convoy
