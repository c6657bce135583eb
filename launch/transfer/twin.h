#pragma once
// torchvision's network that computes the same as one of ours, where there is one, and how its modules are called.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/models/training.h"
#include "launch/transfer/outside_tensors.h"

namespace convoy {

struct Twin {
  std::string name;                            // "resnet50"; empty: there is none
  std::string why_not;                         // where there is none: a sentence
  std::map<std::string, std::string> modules;  // of layers: "stage1/block1/conv1" -> "layer1.0.conv1"
};

/// What a family looks at. Its layers are those with tensors, in the order of the network.
struct TwinQuestion {
  std::string_view model;
  const ModelOptions& options;                 // complete
  const Graph& graph;                          // build_inference_graph's
  std::vector<std::string> layers;
};

/// The twin of a task's network; its graph is build_inference_graph's.
Twin find_twin(const Task& task, const Graph& graph);

// One for each family: nothing where the model is of another one.
std::optional<Twin> resnet_twin(const TwinQuestion& question);
std::optional<Twin> vgg_twin(const TwinQuestion& question);
std::optional<Twin> densenet_twin(const TwinQuestion& question);
std::optional<Twin> alexnet_twin(const TwinQuestion& question);
std::optional<Twin> googlenet_twin(const TwinQuestion& question);

/// A tensor's name in a file: torchvision's ("layer1.0.conv1.weight") where there is a twin, else ours with dots
/// ("stage1.block1.conv1.filters").
std::string outside_name(const OutsideTensor& tensor, const Twin& twin);
/// Whether the layer is a batch norm, which in PyTorch also has a count of its batches.
bool is_batch_norm(const OutsideTensor& tensor);

}  // namespace convoy
