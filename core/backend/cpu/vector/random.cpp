#include "core/backend/cpu/vector/random.h"

#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

/// Salmon et al. 2011, section 3.3: multipliers and key increments of Philox4x32.
constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kIncrement0 = 0x9E3779B9, kIncrement1 = 0xBB67AE85;

constexpr i64 kTogether = 16;  // counters whose rounds are taken together

struct Counters {
  alignas(64) std::uint32_t w0[kTogether], w1[kTogether], w2[kTogether], w3[kTogether];
};

CONVOY_INLINE void round(Counters& c, std::uint32_t key0, std::uint32_t key1) {
#pragma omp simd
  for (i64 i = 0; i < kTogether; ++i) {
    const std::uint64_t p0 = kMultiplier0 * c.w0[i], p1 = kMultiplier1 * c.w2[i];
    const std::uint32_t w1 = c.w1[i], w3 = c.w3[i];
    c.w0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ w1 ^ key0;
    c.w1[i] = static_cast<std::uint32_t>(p1);
    c.w2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ w3 ^ key1;
    c.w3[i] = static_cast<std::uint32_t>(p0);
  }
}

void blocks(std::uint64_t key, std::uint64_t first, const std::uint32_t* counter_high, std::uint32_t* words) {
  for (i64 b = 0; b < kPhiloxBlocks; b += kTogether) {
    Counters c;
    for (i64 i = 0; i < kTogether; ++i) {
      const std::uint64_t counter = first + static_cast<std::uint64_t>(b + i);
      c.w0[i] = static_cast<std::uint32_t>(counter);
      c.w1[i] = static_cast<std::uint32_t>(counter >> 32);
      c.w2[i] = counter_high[0];
      c.w3[i] = counter_high[1];
    }
    auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
    for (int r = 0; r < 10; ++r, key0 += kIncrement0, key1 += kIncrement1) round(c, key0, key1);
    for (i64 i = 0; i < kTogether; ++i) {
      std::uint32_t* to = words + 4 * (b + i);
      to[0] = c.w0[i];
      to[1] = c.w1[i];
      to[2] = c.w2[i];
      to[3] = c.w3[i];
    }
  }
}

}  // namespace

const RandomKernels random_kernels = {.blocks = blocks};

}  // namespace convoy::cpu::CONVOY_ISA
