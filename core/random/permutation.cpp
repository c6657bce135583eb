#include "core/random/permutation.h"

#include <cassert>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd

int half_bits_for(std::uint64_t n) {
  int bits = 1;
  while (bits < 32 && (std::uint64_t{1} << (2 * bits)) < n) ++bits;
  return bits;
}

}  // namespace

Permutation::Permutation(RandomKey key, std::uint64_t n) : n_(n), half_bits_(half_bits_for(n)) {
  if (n == 0) throw UsageError("a permutation needs at least one element, found 0 (is the dataset empty?)");
  for (std::size_t r = 0; r < rounds_.size(); ++r) {
    const PhiloxBlock words = key.block(r);
    rounds_[r].offset = words[0] | static_cast<std::uint64_t>(words[1]) << 32;
    rounds_[r].multiplier = words[2] | static_cast<std::uint64_t>(words[3]) << 32 | 1;
  }
}

std::uint64_t Permutation::round_function(const Round& round, std::uint64_t half) const {
  const std::uint64_t y = kGolden * (half + round.offset);
  return round.multiplier * (y ^ y >> 32) >> (64 - half_bits_);
}

std::uint64_t Permutation::operator()(std::uint64_t i) const {
  assert(i < n_);
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = i >> half_bits_, right = i & mask;
    for (const Round& round : rounds_) {
      const std::uint64_t next = left ^ round_function(round, right);
      left = right;
      right = next;
    }
    i = left << half_bits_ | right;
  } while (i >= n_);
  return i;
}

std::uint64_t Permutation::inverse(std::uint64_t image) const {
  assert(image < n_);
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = image >> half_bits_, right = image & mask;
    for (auto round = rounds_.rbegin(); round != rounds_.rend(); ++round) {
      const std::uint64_t before = right ^ round_function(*round, left);
      right = left;
      left = before;
    }
    image = left << half_bits_ | right;
  } while (image >= n_);
  return image;
}

}  // namespace convoy
