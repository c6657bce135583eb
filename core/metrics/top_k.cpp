#include "core/metrics/top_k.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// A strict total order on indices: larger value, then lower index, NaN last.
struct Better {
  std::span<const float> values;
  bool operator()(int a, int b) const {
    const float x = values[static_cast<std::size_t>(a)], y = values[static_cast<std::size_t>(b)];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
    if (x != y && !std::isnan(x)) return x > y;
    return a < b;
  }
};

}  // namespace

std::vector<int> top_k(std::span<const float> values, int k) {
  if (k < 1 || static_cast<std::size_t>(k) > values.size())
    throw UsageError(fmt::format("the {} best of {} classes were asked for; ask for 1 to {}", k, values.size(),
                                 values.size()));
  std::vector<int> indices(values.size());
  std::iota(indices.begin(), indices.end(), 0);
  std::partial_sort(indices.begin(), indices.begin() + k, indices.end(), Better{values});
  indices.resize(static_cast<std::size_t>(k));
  return indices;
}

bool in_top_k(std::span<const float> values, std::int64_t label, int k) {
  const auto classes = static_cast<std::int64_t>(values.size());
  if (label < 0 || label >= classes)
    throw UsageError(fmt::format("label {} of {} classes; labels are 0 to {}", label, classes, classes - 1));
  if (k < 1) throw UsageError(fmt::format("the {} best classes were asked for; ask for at least 1", k));
  const Better better{values};
  int ahead = 0;
  for (int i = 0; i < classes && ahead < k; ++i) ahead += better(i, static_cast<int>(label));
  return ahead < k;
}

}  // namespace convoy
