#pragma once
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3): a block of
// four 32-bit words is a pure function of a 128-bit counter and a 64-bit key. No generator has a state, so
// whoever asks (rank, thread, GPU lane) gets the same numbers.
#include <array>
#include <cstdint>
#include <string_view>

namespace convoy {

using PhiloxBlock = std::array<std::uint32_t, 4>;

/// Ten rounds. `counter` least significant word first.
PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key);

/// First 8 bytes of SHA-256(name), little-endian: how names enter keys.
std::uint64_t name_key(std::string_view name);

/// Named by the run record; changes with every change of the derivation below, for then all bits change.
inline constexpr std::uint32_t kRandomVersion = 1;

/// The random numbers of one purpose: a family of independent sequences, indexed by keys and elements.
/// RandomKey(seed, "dropout").child(name_key("fc6")).child(epoch).child(sample).word(element)
///
/// Derivation, version 1. A key is 64 bits, low word first; philox(a, b, c, d; key) has the counter words a ..
/// d; x.lo and x.hi are the halves of a 64-bit x. Counter word c keeps the three uses of one key apart, d holds
/// the version.
///   root    key = first two words of philox(name_key(purpose).lo, .hi, 2, 1; seed)
///   child   key = first two words of philox(index.lo, index.hi, 1, 1; parent)
///   block   block(i) = philox(i.lo, i.hi, 0, 1; key)
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
  /// Uniform in [0, 1) with 53 bits: (word(2e) * 2^32 + word(2e + 1)) >> 11, times 2^-53.
  double uniform_double(std::uint64_t element) const;
  /// Standard normal (Box & Muller 1958): sqrt(-2 log(1 - a)) cos(2 pi b), a = uniform_double(2e) and
  /// b = uniform_double(2e + 1). log and cos are the C library's; bits may differ between machines.
  double normal(std::uint64_t element) const;
  /// Uniform integer in [0, bound), 1 <= bound <= 2^32: (word * bound) >> 32.
  std::uint32_t below(std::uint64_t element, std::uint64_t bound) const;

  std::uint64_t raw() const { return key_; }

 private:
  explicit RandomKey(std::uint64_t key) : key_(key) {}
  std::uint64_t key_ = 0;
};

}  // namespace convoy
