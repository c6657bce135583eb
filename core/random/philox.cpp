#include "core/random/philox.h"

#include <cassert>
#include <cmath>
#include <numbers>

#include "core/random/sha256.h"

namespace convoy {
namespace {

// What a key is asked for: the third counter word.
enum class Use : std::uint32_t { block = 0, child = 1, root = 2 };

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

PhiloxBlock block_for(std::uint64_t key, std::uint64_t index, Use use) {
  return philox4x32({low(index), high(index), static_cast<std::uint32_t>(use), kRandomVersion},
                    {low(key), high(key)});
}

std::uint64_t derive(std::uint64_t parent, std::uint64_t index, Use use) {
  const PhiloxBlock words = block_for(parent, index, use);
  return words[0] | static_cast<std::uint64_t>(words[1]) << 32;
}

double to_uniform(std::uint32_t upper, std::uint32_t lower) {
  const std::uint64_t bits = static_cast<std::uint64_t>(upper) << 32 | lower;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

PhiloxBlock philox4x32(PhiloxBlock c, std::array<std::uint32_t, 2> k) {
  // Multipliers and Weyl increments of Philox4x32: Salmon et al. 2011, section 3.3 and Random123's philox.h.
  constexpr std::uint64_t kM0 = 0xD2511F53, kM1 = 0xCD9E8D57;
  constexpr std::uint32_t kW0 = 0x9E3779B9, kW1 = 0xBB67AE85;  // golden ratio, sqrt(3) - 1
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = kM0 * c[0];
    const std::uint64_t p1 = kM1 * c[2];
    c = {high(p1) ^ c[1] ^ k[0], low(p1), high(p0) ^ c[3] ^ k[1], low(p0)};
    k[0] += kW0;
    k[1] += kW1;
  }
  return c;
}

std::uint64_t name_key(std::string_view name) {
  const Sha256Digest digest = sha256(name);
  std::uint64_t key = 0;
  for (std::size_t i = 0; i < 8; ++i) key |= static_cast<std::uint64_t>(digest[i]) << (8 * i);
  return key;
}

RandomKey::RandomKey(std::uint64_t seed, std::string_view purpose)
    : key_(derive(seed, name_key(purpose), Use::root)) {}

RandomKey RandomKey::child(std::uint64_t index) const { return RandomKey(derive(key_, index, Use::child)); }

PhiloxBlock RandomKey::block(std::uint64_t i) const { return block_for(key_, i, Use::block); }

std::uint32_t RandomKey::word(std::uint64_t element) const { return block(element / 4)[element % 4]; }

float RandomKey::uniform(std::uint64_t element) const {
  return static_cast<float>(word(element) >> 8) * 0x1p-24f;
}

double RandomKey::uniform_double(std::uint64_t element) const {
  const PhiloxBlock words = block(element / 2);
  const std::size_t first = element % 2 * 2;
  return to_uniform(words[first], words[first + 1]);
}

double RandomKey::normal(std::uint64_t element) const {
  const PhiloxBlock words = block(element);  // holds uniform_double(2e) and uniform_double(2e + 1)
  const double radius = std::sqrt(-2 * std::log1p(-to_uniform(words[0], words[1])));
  return radius * std::cos(2 * std::numbers::pi * to_uniform(words[2], words[3]));
}

std::uint32_t RandomKey::below(std::uint64_t element, std::uint64_t bound) const {
  assert(bound >= 1 && bound <= std::uint64_t{1} << 32);
  return high(word(element) * bound);
}

}  // namespace convoy
