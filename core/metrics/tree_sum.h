#pragma once
// The fixed tree of sums (design: section 4): the sum over [a, b) splits at a + the largest power of two below
// b - a. Its shape depends on the number of terms alone, so whoever computes which part, the rounding is the
// same.
#include <bit>
#include <cstddef>
#include <span>

namespace convoy {

/// Where the sum over `count` >= 2 terms splits: the largest power of two below count.
inline std::size_t tree_split(std::size_t count) { return std::bit_floor(count - 1); }

/// Sum of the terms through the tree; 0 for none.
inline double tree_sum(std::span<const double> terms) {
  if (terms.empty()) return 0;
  if (terms.size() == 1) return terms[0];
  const std::size_t split = tree_split(terms.size());
  return tree_sum(terms.first(split)) + tree_sum(terms.subspan(split));
}

}  // namespace convoy
