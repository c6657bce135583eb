// Larsson, Maire & Shakhnarovich 2017, "FractalNet: Ultra-Deep Neural Networks without Residuals": five blocks of C columns;
// column k of a block (0 the deepest) has a convolution every 2^k steps, and columns that end a convolution at the same step
// meet in a join, whose mean all of them go on with. The last join of a block stands behind the pooling, as in the authors' code.
#include <fmt/format.h>

#include "core/models/blocks.h"

namespace convoy {
namespace {

Value conv_bn(Graph& graph, Value x, std::string_view name, std::int64_t channels, double rate) {
  Graph::Scope scope(graph, name);
  x = conv(graph, x, "conv", {.channels = channels, .kernel = 3, .bias = false, .init = {Initializer::Kind::xavier_uniform, 0}});
  x = dropout(graph, x, "dropout", rate);
  return relu(graph, batch_norm(graph, x, "bn"));
}

Value block(Graph& graph, Value x, int number, std::int64_t channels, double rate, const FractalNetSpec& spec) {
  Graph::Scope scope(graph, fmt::format("block{}", number));
  const int steps = 1 << (spec.columns - 1);
  std::vector<Value> columns(static_cast<std::size_t>(spec.columns), x);
  for (int step = 1; step <= steps; ++step) {
    std::vector<Value> meeting;
    for (int k = 0; k < spec.columns && step % (1 << k) == 0; ++k) {
      Value y = conv_bn(graph, columns[static_cast<std::size_t>(k)], fmt::format("column{}_{}", k, step >> k), channels, rate);
      if (step == steps) y = pool(graph, y, {.kernel = 2, .stride = 2});
      meeting.push_back(y);
    }
    const Value joined = join(graph, meeting, fmt::format("join{}", step),
                              {.rate = spec.drop_path, .global = spec.global, .columns = spec.columns});
    for (std::size_t k = 0; k < meeting.size(); ++k) columns[k] = joined;
  }
  return columns[0];
}

}  // namespace

Value fractalnet(Graph& graph, Value x, std::int64_t classes, const FractalNetSpec& spec) {
  constexpr std::int64_t kWidths[]{1, 2, 4, 8, 8};
  for (int b = 0; b < 5; ++b)                                               //  16, 8, 4, 2, 1 squared
    x = block(graph, x, b + 1, kWidths[b] * spec.width, spec.dropout * b / 4, spec);
  return dense(graph, x, "fc", {.units = classes, .init = {Initializer::Kind::xavier_uniform, 0}});
}

}  // namespace convoy
