#pragma once
// The keyed bijection behind the training stream (design: section 4): a Feistel network keyed by Philox on the
// smallest power-of-four domain that holds n, walked until it lands below n. No table, any position at once.
#include <array>
#include <cstdint>

#include "core/random/philox.h"

namespace convoy {

/// A permutation of [0, n), n >= 1, fixed by its key. Immutable; safe to share between threads.
///
/// Definition (part of data.order=full-v1). w is the least number >= 1 with 4^w >= n; a position is a pair
/// (left, right) of w-bit halves, left the upper one. Round r = 0 .. 7 maps it to (right, left ^ f_r(right))
/// with
///   f_r(x) = upper w bits of multiplier_r * (y ^ (y >> 32)),  y = 0x9E3779B97F4A7C15 * (x + offset_r)   mod
///   2^64
/// where, of Philox block r of the key, words 0 and 1 (low first) are offset_r and words 2 and 3, with the
/// lowest bit set, are multiplier_r. The eight rounds are repeated until the position is below n (fewer than 4
/// times on average).
class Permutation {
 public:
  /// Throws UsageError if n is 0.
  Permutation(RandomKey key, std::uint64_t n);
  std::uint64_t size() const { return n_; }
  /// Image of i, i < n.
  std::uint64_t operator()(std::uint64_t i) const;
  /// inverse((*this)(i)) == i.
  std::uint64_t inverse(std::uint64_t image) const;

 private:
  static constexpr int kRounds = 8;
  struct Round {
    std::uint64_t offset;
    std::uint64_t multiplier;  // odd
  };

  std::uint64_t n_;
  int half_bits_;
  std::array<Round, kRounds> rounds_;

  std::uint64_t round_function(const Round& round, std::uint64_t half) const;
};

}  // namespace convoy
