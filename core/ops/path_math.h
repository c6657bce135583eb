#pragma once
// Which paths a sample takes (PathsAttributes), for hosts and devices alike.
#include <cmath>
#include <cstdint>

#include "core/ops/attributes.h"
#include "core/random/philox_math.h"

namespace convoy::math {

struct PathRule {
  std::uint64_t own, shared;              // RandomKey(seed, "dropout").child(name_key(name)), and of `network`
  std::uint64_t threshold, global;        // floor(share 2^32)
  int paths, columns;
  bool keeps_one;
};

inline PathRule path_rule(const PathsAttributes& a) {
  const RandomKey root(a.seed, "dropout");
  const auto threshold = [](double share) { return static_cast<std::uint64_t>(std::floor(std::ldexp(share, 32))); };
  return {root.child(name_key(a.name)).raw(), root.child(name_key(a.network)).raw(), threshold(a.rate), threshold(a.global),
          a.paths, a.columns, a.keeps_one};
}

CONVOY_HOST_DEVICE std::uint64_t sample_key(std::uint64_t key, const std::uint64_t* sample) {
  return derived_key(derived_key(key, sample[0], KeyUse::child), sample[1], KeyUse::child);
}
CONVOY_HOST_DEVICE std::uint32_t word_of(std::uint64_t key, int word) {
  return key_words(key, static_cast<std::uint64_t>(word / 4), KeyUse::block).at[word % 4];
}

/// Bit i: the sample (its epoch and id) takes path i.
CONVOY_HOST_DEVICE std::uint64_t paths_taken(const PathRule& rule, const std::uint64_t* sample) {
  const std::uint64_t shared = sample_key(rule.shared, sample), own = sample_key(rule.own, sample);
  const std::uint64_t all = ~std::uint64_t{0} >> (64 - rule.paths);
  if (rule.keeps_one && word_of(shared, 0) < rule.global) {
    const int column = static_cast<int>(word_of(shared, 1) % static_cast<std::uint32_t>(rule.columns));
    return column < rule.paths ? std::uint64_t{1} << column : all;
  }
  std::uint64_t kept = 0;
  for (int i = 0; i < rule.paths; ++i)
    if (word_of(own, i) >= rule.threshold) kept |= std::uint64_t{1} << i;
  if (kept == 0 && rule.keeps_one) kept = std::uint64_t{1} << word_of(own, rule.paths) % static_cast<std::uint32_t>(rule.paths);
  return kept;
}

/// The weight of each path taken.
CONVOY_HOST_DEVICE float path_share(std::uint64_t taken) {
  int count = 0;
  for (; taken != 0; taken &= taken - 1) ++count;
  return count == 0 ? 0.0f : 1.0f / static_cast<float>(count);
}

CONVOY_HOST_DEVICE float scale_sample(float x, float w) { return w == 0.0f ? 0.0f : x * w; }

}  // namespace convoy::math
