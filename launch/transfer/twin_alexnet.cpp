// torchvision/models/alexnet.py, the net of 2014: "features" counts convolutions, ReLUs and poolings; in "classifier" a dropout
// stands before, and a ReLU behind, each of the first two dense layers.
#include <fmt/format.h>

#include "launch/transfer/twin.h"

namespace convoy {

std::optional<Twin> alexnet_twin(const TwinQuestion& question) {
  Twin twin;
  if (question.model == "alexnet") {
    twin.why_not = "torchvision's alexnet is the net of 2014, here --model.name=alexnet-2014; it has none with two towers";
    return twin;
  }
  if (question.model != "alexnet-2014") return {};
  if (const Shape& map = question.graph.dense_inputs.at("fc6"); map != Shape{6, 6, 256}) {
    twin.why_not = fmt::format("torchvision's alexnet brings the last map to 6 x 6, here it is {}: give images of 224 to 254 pixels",
                               map.str());
    return twin;
  }
  twin.name = "alexnet";
  twin.modules = {{"conv1", "features.0"},  {"conv2", "features.3"}, {"conv3", "features.6"},   {"conv4", "features.8"},
                  {"conv5", "features.10"}, {"fc6", "classifier.1"}, {"fc7", "classifier.4"}, {"fc8", "classifier.6"}};
  return twin;
}

}  // namespace convoy
