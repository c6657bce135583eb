#pragma once
// The one addition of the reduction, and what leaves and sums are rounded to.
#include <cstddef>
#include <cstdint>

#include "core/backend/device.h"

namespace convoy {

/// sum[i] = left[i] + right[i], i < count, in f32, then rounded as `rounding` says. `sum` may be `left` or `right`, but may
/// not overlap them otherwise.
void add(const float* left, const float* right, float* sum, std::size_t count, SumRounding rounding);

/// The same where an operand may be a leaf as it was computed: both are rounded first, which changes no sum.
void add_leaf(const float* left, const float* right, float* sum, std::size_t count, SumRounding rounding);

/// to[i] = leaf[i], rounded. The two may not overlap.
void store_leaf(const float* leaf, float* to, std::size_t count, SumRounding rounding);

/// Rounded sums are floats whose lower halves are zero: 2 bytes an element on the wire. The arrays may not overlap.
void pack_bf16(const float* from, std::uint16_t* to, std::size_t count);
void unpack_bf16(const std::uint16_t* from, float* to, std::size_t count);

}  // namespace convoy
