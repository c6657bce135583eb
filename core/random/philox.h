#pragma once
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3): a block of four
// 32-bit words is a pure function of a 128-bit counter and a 64-bit key. No generator has a state, so whoever
// asks (rank, thread, GPU lane) gets the same numbers.
#include <array>
#include <cstdint>
#include <string_view>

namespace convoy {

using PhiloxBlock = std::array<std::uint32_t, 4>;

/// Ten rounds. `counter` least significant word first.
PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key);

/// First 8 bytes of SHA-256(name), little-endian: how names enter keys.
std::uint64_t name_key(std::string_view name);

/// The random numbers of one purpose: a family of independent sequences, indexed by keys and elements.
/// RandomKey(seed, "dropout").child(name_key("fc6")).child(epoch).child(sample).word(element)
class RandomKey {
 public:
  /// `purpose`: "init", "order", "augment", "dropout", ...
  RandomKey(std::uint64_t seed, std::string_view purpose);
  /// The key below this one for `index`; different indices give independent sequences.
  RandomKey child(std::uint64_t index) const;

  /// Words 4i .. 4i+3 of this key's sequence.
  PhiloxBlock block(std::uint64_t i) const;
  /// Word `element` of the sequence: block(element / 4)[element % 4].
  std::uint32_t word(std::uint64_t element) const;
  /// Uniform in [0, 1) with 24 bits: word >> 8, times 2^-24.
  float uniform(std::uint64_t element) const;
  /// Uniform in [0, 1) with 53 bits, of the words 2e and 2e + 1.
  double uniform_double(std::uint64_t element) const;
  /// Standard normal, Box-Muller on uniform_double(2e) and uniform_double(2e + 1).
  double normal(std::uint64_t element) const;
  /// Uniform integer in [0, bound), bound <= 2^32: (word * bound) >> 32.
  std::uint32_t below(std::uint64_t element, std::uint64_t bound) const;

  std::uint64_t raw() const { return key_; }

 private:
  explicit RandomKey(std::uint64_t key) : key_(key) {}
  std::uint64_t key_ = 0;
};

}  // namespace convoy
