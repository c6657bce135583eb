#include "launch/transfer/twin.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tensor/error.h"

namespace convoy {
namespace {

/// PyTorch's name of one of a layer's tensors.
std::string_view torch_leaf(const std::string& leaf) {
  if (leaf == "filters" || leaf == "weights" || leaf == "gamma") return "weight";
  if (leaf == "bias" || leaf == "beta") return "bias";
  if (leaf == "mean") return "running_mean";
  if (leaf == "variance") return "running_var";
  throw Error(fmt::format("a tensor \"{}\" in a network that torchvision has", leaf));
}

}  // namespace

Twin find_twin(const Task& task, const Graph& graph) {
  const ModelOptions options = complete_options(find_model(task.model), task.options);
  TwinQuestion question{task.model, options, graph, {}};
  for (const OutsideTensor& tensor : outside_tensors(graph))
    if (std::find(question.layers.begin(), question.layers.end(), tensor.layer) == question.layers.end())
      question.layers.push_back(tensor.layer);
  for (const auto family : {resnet_twin, vgg_twin, densenet_twin, alexnet_twin, googlenet_twin})
    if (auto twin = family(question)) return *std::move(twin);
  return {.why_not = fmt::format("torchvision has no {}", task.model)};
}

std::string outside_name(const OutsideTensor& tensor, const Twin& twin) {
  if (!twin.name.empty()) return fmt::format("{}.{}", twin.modules.at(tensor.layer), torch_leaf(tensor.leaf));
  std::string name = tensor.name;
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

bool is_batch_norm(const OutsideTensor& tensor) { return tensor.role == Role::state && tensor.leaf == "variance"; }

}  // namespace convoy
