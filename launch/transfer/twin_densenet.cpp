// torchvision/models/densenet.py:
//   stem/conv1, stem/bn1            features.conv0, features.norm0
//   block2/layer3/bn1, conv1, ...   features.denseblock2.denselayer3.norm1, conv1, ...
//   transition1/bn1, conv1          features.transition1.norm, conv
//   bn, fc                          features.norm5, classifier
#include <fmt/format.h>

#include "launch/transfer/twin.h"

namespace convoy {
namespace {

std::string module_of(std::string_view layer) {
  if (layer == "stem/conv1") return "features.conv0";
  if (layer == "stem/bn1") return "features.norm0";
  if (layer == "bn") return "features.norm5";
  if (layer == "fc") return "classifier";
  const std::size_t slash = layer.find('/'), last = layer.rfind('/') + 1;
  const std::string_view outer = layer.substr(0, slash), leaf = layer.substr(last);
  const bool norm = leaf.starts_with("bn");
  if (outer.starts_with("transition")) return fmt::format("features.{}.{}", outer, norm ? "norm" : "conv");
  return fmt::format("features.dense{}.dense{}.{}", outer, layer.substr(slash + 1, last - slash - 2),
                     norm ? fmt::format("norm{}", leaf.substr(2)) : std::string(leaf));
}

}  // namespace

std::optional<Twin> densenet_twin(const TwinQuestion& question) {
  static const std::map<std::string_view, std::string_view> kNames{{"densenet-121", "densenet121"},
                                                                  {"densenet-161", "densenet161"},
                                                                  {"densenet-169", "densenet169"},
                                                                  {"densenet-201", "densenet201"}};
  const auto name = kNames.find(question.model);
  if (name == kNames.end()) return {};
  Twin twin{.name = std::string(name->second)};
  for (const std::string& layer : question.layers) twin.modules[layer] = module_of(layer);
  return twin;
}

}  // namespace convoy
