// torchvision/models/googlenet.py: the library variant. Its auxiliary heads belong to training, and are no part of what is
// exported.
//   stem/conv1, stem/conv1_bn       conv1.conv, conv1.bn          inception3a/3x3_reduce    inception3a.branch2.0.conv
//   stem/conv2_reduce, stem/conv2   conv2.conv, conv3.conv        inception3a/5x5           inception3a.branch3.1.conv
//   inception3a/1x1                 inception3a.branch1.conv      inception3a/projection    inception3a.branch4.1.conv
#include <fmt/format.h>

#include "launch/transfer/twin.h"

namespace convoy {
namespace {

std::string module_of(const std::string& layer) {
  static const std::map<std::string_view, std::string_view> kModules{
      {"conv1", "conv1"},       {"conv2_reduce", "conv2"}, {"conv2", "conv3"},        {"1x1", "branch1"},          {"3x3_reduce", "branch2.0"},
      {"3x3", "branch2.1"},     {"5x5_reduce", "branch3.0"}, {"5x5", "branch3.1"}, {"projection", "branch4.1"}};
  const std::size_t slash = layer.find('/');
  if (slash == std::string::npos) return layer;
  const std::string block = layer.substr(0, slash);
  std::string_view own = std::string_view(layer).substr(slash + 1);
  const bool norm = own.ends_with("_bn");
  if (norm) own.remove_suffix(3);
  return fmt::format("{}{}.{}", block == "stem" ? "" : block + ".", kModules.at(own), norm ? "bn" : "conv");
}

}  // namespace

std::optional<Twin> googlenet_twin(const TwinQuestion& question) {
  if (question.model != "googlenet") return {};
  Twin twin;
  const auto& options = question.options;
  if (options.at("variant") != "library" || options.at("stem") != "7x7" || options.at("width") != "1") {
    twin.why_not = "torchvision's googlenet is the library variant for large images: --model.variant=library, with --model.stem=7x7 "
                   "and --model.width=1";
    return twin;
  }
  twin.name = "googlenet";
  for (const std::string& layer : question.layers) twin.modules[layer] = module_of(layer);
  return twin;
}

}  // namespace convoy
