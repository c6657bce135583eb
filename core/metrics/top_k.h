#pragma once
// The k most probable classes. Of equal values the lower index comes first; NaN comes after every number.
#include <cstdint>
#include <span>
#include <vector>

namespace convoy {

/// Indices of the k largest values, best first. Throws UsageError unless 1 <= k <= values.size().
std::vector<int> top_k(std::span<const float> values, int k);

/// Whether top_k(values, k) holds `label`, found without sorting; k may exceed the number of values.
/// Throws UsageError unless 0 <= label < values.size() and k >= 1.
bool in_top_k(std::span<const float> values, std::int64_t label, int k);

}  // namespace convoy
