#include <fmt/format.h>

#include "core/backend/parity_cases.h"

namespace convoy::test {
namespace {

Tensor scaled(Tensor tensor, double factor, double offset) {
  for (double& v : tensor.values<double>()) v = offset + factor * v;
  return rounded(tensor);
}

/// The largest relative change of a result for one of its operand: powers of sums.
constexpr double kPowers = 8;

ParityFamily local_response_family(const std::string& name, Shape shape, LocalResponseAttributes a, double size) {
  const Tensor x = scaled(random_single(shape, 1), size, 0);
  const ParityCase forward{name, OpKind::local_response, a, {x}, static_cast<double>(a.size) + kPowers, {}};
  return {forward, {name, OpKind::local_response_backward, a, {x, random_single(shape, 2)}, static_cast<double>(a.size) + kPowers, {}}};
}

ParityFamily layer_norm_family(const std::string& name, Shape shape, double offset, double spread) {
  const LayerNormAttributes a{.epsilon = 1e-5};
  const Tensor x = scaled(random_single(shape, 1), spread, offset);
  const double length = static_cast<double>(shape[-1]) * (1 + offset * offset / (spread * spread));
  const ParityCase forward{name, OpKind::layer_norm, a, {x}, length, {}};
  const std::vector<Tensor> results = run_reference(forward);
  return {forward,
          {name, OpKind::layer_norm_backward, a, {rounded(results[0]), rounded(results[1]), random_single(shape, 2)},
           static_cast<double>(shape[-1]), {}}};
}

ParityFamily resample_family(const std::string& name, Shape x, ResampleAttributes a) {
  const ParityCase forward{name, OpKind::resample, a, {random_single(x, 1)}, 8, {}};
  const Shape y = run_reference(forward)[0].shape();
  ResampleAttributes backward = a;
  backward.input = x;
  const double readers = static_cast<double>(y.elements()) / static_cast<double>(x.elements());
  return {forward, {name, OpKind::resample_backward, backward, {random_single(y, 2)}, 8 + 8 * readers, {}}};
}

}  // namespace

std::vector<ParityFamily> row_families() {
  const LocalResponseAttributes alexnet{};
  return {
      local_response_family("alexnet", {2, 5, 5, 96}, alexnet, 1),
      local_response_family("large values", {2, 4, 4, 48}, alexnet, 100),
      local_response_family("one channel", {3, 7, 1}, alexnet, 1),
      local_response_family("fewer channels than neighbours", {3, 7, 3}, {.size = 9, .alpha = 0.1, .k = 1}, 1),
      local_response_family("itself alone", {2, 9, 20}, {.size = 1, .alpha = 1, .beta = 0.5, .k = 1e-3}, 1),
      local_response_family("many rows", {1200, 33}, {.size = 5, .alpha = 0.3, .beta = 1.5, .k = 2}, 1),
      local_response_family("long rows", {3, 515}, {.size = 31, .alpha = 0.01, .k = 1}, 1),
      layer_norm_family("7 channels", {2, 5, 5, 7}, 0, 1),
      layer_norm_family("768 channels", {3, 11, 768}, 0.5, 1),
      layer_norm_family("a sample", {4, 3000}, 0, 1),
      layer_norm_family("one channel", {5, 1}, 0, 1),
      layer_norm_family("mean far from zero", {40, 100}, 30, 1),
      layer_norm_family("many rows", {2100, 16}, 0, 0.01),
  };
}

std::vector<ParityFamily> resample_families() {
  std::vector<ParityFamily> families;
  for (const bool linear : {false, true}) {
    const std::string kind = linear ? "linear" : "nearest";
    const auto add = [&](const char* name, Shape x, int axes, PerAxis size) {
      families.push_back(resample_family(fmt::format("{}, {}", kind, name), x, {.axes = axes, .linear = linear, .size = size}));
    };
    add("twice as large", {2, 6, 5, 8}, 2, {12, 10, 1});
    add("half as large", {2, 8, 6, 3}, 2, {4, 3, 1});
    add("odd extents", {1, 7, 5, 5}, 2, {10, 17, 1});
    add("smaller and larger", {2, 9, 4, 16}, 2, {5, 11, 1});
    add("the same", {2, 4, 3, 4}, 2, {4, 3, 1});
    add("of one pixel", {3, 1, 1, 6}, 2, {4, 5, 1});
    add("to one pixel", {3, 5, 4, 6}, 2, {1, 1, 1});
    add("1d", {2, 13, 7}, 1, {29, 1, 1});
    add("3d", {1, 3, 4, 5, 4}, 3, {6, 5, 10});
    add("much larger", {1, 3, 2, 2}, 2, {31, 26, 1});
  }
  return families;
}

}  // namespace convoy::test
