#pragma once
// The keyed bijection behind the training stream (design: section 4): a Feistel network over Philox on the smallest
// power-of-four domain that holds n, walked until it lands below n. No table, any position at once.
#include <cstdint>

#include "core/random/philox.h"

namespace convoy {

/// A permutation of [0, n), n >= 1, fixed by its key.
class Permutation {
 public:
  Permutation(RandomKey key, std::uint64_t n);
  std::uint64_t size() const { return n_; }
  /// Image of i, i < n.
  std::uint64_t operator()(std::uint64_t i) const;
  /// inverse((*this)(i)) == i.
  std::uint64_t inverse(std::uint64_t image) const;

 private:
  std::uint64_t n_;
  int half_bits_;
  RandomKey key_;
};

}  // namespace convoy
