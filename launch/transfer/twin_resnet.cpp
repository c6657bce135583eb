// torchvision/models/resnet.py: ResNet "v1.5", the stride of a bottleneck on its 3 x 3, projections where the shape changes.
//   stem/conv1                      conv1                     stage2/block3/conv1     layer2.2.conv1
//   stem/bn1                        bn1                       stage2/block3/bn1       layer2.2.bn1
//   stage2/block1/shortcut          layer2.0.downsample.0     fc                      fc
//   stage2/block1/shortcut_bn       layer2.0.downsample.1
#include <fmt/format.h>

#include <charconv>

#include "launch/transfer/twin.h"

namespace convoy {
namespace {

/// The number behind `prefix` in "prefix12/rest"; `path` becomes "rest".
int take_number(std::string_view& path, std::string_view prefix) {
  int number = 0;
  path.remove_prefix(prefix.size());
  const auto end = std::from_chars(path.data(), path.data() + path.size(), number).ptr;
  path.remove_prefix(static_cast<std::size_t>(end - path.data()) + 1);
  return number;
}

std::string module_of(std::string_view layer) {
  if (layer.starts_with("stem/")) return std::string(layer.substr(5));
  if (!layer.starts_with("stage")) return std::string(layer);
  const int stage = take_number(layer, "stage");
  const int block = take_number(layer, "block");
  const std::string_view last = layer == "shortcut" ? "downsample.0" : layer == "shortcut_bn" ? "downsample.1" : layer;
  return fmt::format("layer{}.{}.{}", stage, block - 1, last);
}

}  // namespace

std::optional<Twin> resnet_twin(const TwinQuestion& question) {
  static const std::map<std::string_view, std::string_view> kNames{
      {"resnet-18", "resnet18"}, {"resnet-34", "resnet34"},   {"resnet-50", "resnet50"},
      {"resnet-101", "resnet101"}, {"resnet-152", "resnet152"}, {"wide-resnet-50-2", "wide_resnet50_2"}};
  const auto name = kNames.find(question.model);
  if (name == kNames.end()) return {};
  const auto& options = question.options;
  const auto stride_on = options.find("stride-on"), shortcut = options.find("shortcut");
  const bool other_stride = stride_on != options.end() && stride_on->second != "3x3";
  const bool other_shortcut = shortcut != options.end() && shortcut->second != "B";
  Twin twin;
  if (other_stride || other_shortcut) {
    twin.why_not = fmt::format("torchvision's {} has {}", name->second,
                               other_stride ? "its strides on the 3x3 convolutions: --model.stride-on=3x3" : "--model.shortcut=B");
    return twin;
  }
  twin.name = name->second;
  for (const std::string& layer : question.layers) twin.modules[layer] = module_of(layer);
  return twin;
}

}  // namespace convoy
