#pragma once
// The one addition of the reduction.
#include <cstddef>

namespace convoy {

/// sum[i] = left[i] + right[i], i < count. `sum` may be `left` or `right`, but may not overlap them otherwise.
void add(const float* left, const float* right, float* sum, std::size_t count);

}  // namespace convoy
