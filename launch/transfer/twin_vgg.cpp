// torchvision/models/vgg.py: "features" counts convolutions, batch norms, ReLUs and poolings in one sequence; "classifier"
// has dense layers at 0, 3 and 6, with a ReLU and a dropout behind the first two.
#include <fmt/format.h>

#include "launch/transfer/twin.h"

namespace convoy {
namespace {

std::map<std::string, std::string> modules_of(const Graph& graph) {
  std::map<std::string, std::string> modules{{"fc6", "classifier.0"}, {"fc7", "classifier.3"}, {"fc8", "classifier.6"}};
  int index = 0;
  for (const Op& op : graph.ops()) {
    if (op.kind == OpKind::dense) break;
    if (op.kind == OpKind::conv || op.kind == OpKind::batch_norm_inference) {
      const std::string& name = graph.info(op.inputs[1]).name;
      modules[name.substr(0, name.rfind('/'))] = fmt::format("features.{}", index);
    }
    if (op.kind != OpKind::prepare && op.kind != OpKind::reshape) ++index;
  }
  return modules;
}

}  // namespace

std::optional<Twin> vgg_twin(const TwinQuestion& question) {
  static const std::map<std::string_view, std::string_view> kNames{
      {"vgg-11", "vgg11"}, {"vgg-13", "vgg13"}, {"vgg-16", "vgg16"}, {"vgg-19", "vgg19"}};
  const auto name = kNames.find(question.model);
  if (name == kNames.end()) return {};
  Twin twin;
  // torchvision averages whatever comes to 7 x 7; ours has dense layers of what comes.
  if (const Shape& map = question.graph.dense_inputs.at("fc6"); map != Shape{7, 7, 512}) {
    twin.why_not = fmt::format("torchvision's {} brings the last map to 7 x 7, here it is {}: give images of 224 to 255 pixels",
                               name->second, map.str());
    return twin;
  }
  twin.name = std::string(name->second) + (question.options.at("normalization") == "batch-norm" ? "_bn" : "");
  twin.modules = modules_of(question.graph);
  return twin;
}

}  // namespace convoy
