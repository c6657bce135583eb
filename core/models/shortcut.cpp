#include "core/models/blocks.h"

namespace convoy {

Shortcut shortcut_of(const ModelOptions& options) {
  const std::string& name = options.at("shortcut");
  return name == "A" ? Shortcut::A : name == "B" ? Shortcut::B : Shortcut::C;
}

Value shortcut(Graph& graph, Value x, Shortcut kind, std::int64_t channels, std::int64_t stride) {
  const bool changes = stride > 1 || graph.shape(x)[-1] != channels;
  if (kind == Shortcut::C || (kind == Shortcut::B && changes)) {
    x = conv(graph, x, "shortcut", {.channels = channels, .kernel = 1, .stride = stride, .bias = false});
    return batch_norm(graph, x, "shortcut_bn");
  }
  if (stride > 1) x = pool(graph, x, {.kind = PoolKind::average, .kernel = 1, .stride = stride});
  return graph.shape(x)[-1] < channels ? pad_channels(graph, x, 0, channels) : x;
}

}  // namespace convoy
