// Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1. Weights begin as
// He et al. 2015 have it: the paper's N(0, 0.01) does not train the deeper columns without those of A before them.
#include <fmt/format.h>

#include <array>

#include "core/models/blocks.h"

namespace convoy {
namespace {

struct Stage {
  int convolutions;                // 3 x 3
  bool narrow_last;                // C: and a 1 x 1 behind them
};
using Stages = std::array<Stage, 5>;

const Stages& stages_of(VggColumn column) {
  //                          64           128          256          512          512
  static const Stages a{{{1, false}, {1, false}, {2, false}, {2, false}, {2, false}}};
  static const Stages b{{{2, false}, {2, false}, {2, false}, {2, false}, {2, false}}};
  static const Stages c{{{2, false}, {2, false}, {2, true}, {2, true}, {2, true}}};
  static const Stages d{{{2, false}, {2, false}, {3, false}, {3, false}, {3, false}}};
  static const Stages e{{{2, false}, {2, false}, {4, false}, {4, false}, {4, false}}};
  switch (column) {
    case VggColumn::A:
    case VggColumn::A_LRN: return a;
    case VggColumn::B: return b;
    case VggColumn::C: return c;
    case VggColumn::D: return d;
    case VggColumn::E: break;
  }
  return e;
}

Value hidden(Graph& graph, Value x, std::string_view name) {
  x = relu(graph, dense(graph, x, name, {.units = 4096}));
  return dropout(graph, x, fmt::format("{}_dropout", name), 0.5);
}

}  // namespace

Value vgg(Graph& graph, Value x, std::int64_t classes, VggColumn column, bool batch_norms) {
  constexpr std::int64_t kChannels[]{64, 128, 256, 512, 512};
  int stage = 1;
  for (const auto [convolutions, narrow_last] : stages_of(column)) {
    for (int number = 1; number <= convolutions + (narrow_last ? 1 : 0); ++number) {
      const std::int64_t kernel = number > convolutions ? 1 : 3;
      x = conv(graph, x, fmt::format("conv{}_{}", stage, number), {.channels = kChannels[stage - 1], .kernel = kernel});
      if (batch_norms) x = batch_norm(graph, x, fmt::format("bn{}_{}", stage, number));
      x = relu(graph, x);
    }
    if (column == VggColumn::A_LRN && stage == 1) x = local_response(graph, x);
    Graph::Scope scope(graph, fmt::format("pool{}", stage));
    x = pool(graph, x, {.kernel = 2, .stride = 2});   //  112, 56, 28, 14, 7 squared
    ++stage;
  }
  x = hidden(graph, x, "fc6");
  x = hidden(graph, x, "fc7");
  return dense(graph, x, "fc8", {.units = classes});
}

}  // namespace convoy
