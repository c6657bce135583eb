#include "core/random/philox.h"

#include <cassert>
#include <cmath>
#include <numbers>

#include "core/random/philox_math.h"
#include "core/random/sha256.h"

namespace convoy {
namespace {

std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

PhiloxBlock as_block(const PhiloxWords& words) { return {words.at[0], words.at[1], words.at[2], words.at[3]}; }

double to_uniform(std::uint32_t upper, std::uint32_t lower) {
  const std::uint64_t bits = static_cast<std::uint64_t>(upper) << 32 | lower;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

PhiloxBlock philox4x32(PhiloxBlock c, std::array<std::uint32_t, 2> k) {
  return as_block(philox_rounds({{c[0], c[1], c[2], c[3]}}, k[0], k[1]));
}

std::uint64_t name_key(std::string_view name) {
  const Sha256Digest digest = sha256(name);
  std::uint64_t key = 0;
  for (std::size_t i = 0; i < 8; ++i) key |= static_cast<std::uint64_t>(digest[i]) << (8 * i);
  return key;
}

RandomKey::RandomKey(std::uint64_t seed, std::string_view purpose)
    : key_(derived_key(seed, name_key(purpose), KeyUse::root)) {}

RandomKey RandomKey::child(std::uint64_t index) const {
  return RandomKey(derived_key(key_, index, KeyUse::child));
}

PhiloxBlock RandomKey::block(std::uint64_t i) const { return as_block(key_words(key_, i, KeyUse::block)); }

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
