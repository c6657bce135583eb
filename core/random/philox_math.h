#pragma once
// The arithmetic behind RandomKey (philox.h), for hosts and devices alike.
#include <cstdint>

#include "core/random/philox.h"
#include "core/tensor/host_device.h"

namespace convoy {

struct PhiloxWords {
  std::uint32_t at[4];  // a counter, least significant word first, or what came of it
};

/// Ten rounds of Philox4x32. Multipliers and Weyl increments: Salmon et al. 2011, section 3.3, and Random123's
/// philox.h.
CONVOY_HOST_DEVICE PhiloxWords philox_rounds(PhiloxWords c, std::uint32_t key_low, std::uint32_t key_high) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c.at[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c.at[2];
    c = {{static_cast<std::uint32_t>(p1 >> 32) ^ c.at[1] ^ key_low, static_cast<std::uint32_t>(p1),
          static_cast<std::uint32_t>(p0 >> 32) ^ c.at[3] ^ key_high, static_cast<std::uint32_t>(p0)}};
    key_low += 0x9E3779B9;   // golden ratio
    key_high += 0xBB67AE85;  // sqrt(3) - 1
  }
  return c;
}

/// What a key is asked for: the third counter word.
enum class KeyUse : std::uint32_t { block = 0, child = 1, root = 2 };

CONVOY_HOST_DEVICE PhiloxWords key_words(std::uint64_t key, std::uint64_t index, KeyUse use) {
  return philox_rounds({{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                         static_cast<std::uint32_t>(use), kRandomVersion}},
                       static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
}

/// RandomKey::child (and its root) on raw keys.
CONVOY_HOST_DEVICE std::uint64_t derived_key(std::uint64_t parent, std::uint64_t index, KeyUse use) {
  const PhiloxWords words = key_words(parent, index, use);
  return words.at[0] | static_cast<std::uint64_t>(words.at[1]) << 32;
}

}  // namespace convoy
