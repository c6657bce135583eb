#pragma once
// Philox4x32-10 on many counters at once: the same words as RandomKey::block.
#include <cstdint>

namespace convoy::cpu {

inline constexpr std::int64_t kPhiloxBlocks = 64;

struct RandomKernels {
  /// Words of the blocks [first, first + kPhiloxBlocks) of a key: words[4 b + w]. counter_high holds the words
  /// 2 and 3 of every counter.
  void (*blocks)(std::uint64_t key, std::uint64_t first, const std::uint32_t* counter_high,
                 std::uint32_t* words);
};

namespace avx2 {
extern const RandomKernels random_kernels;
}
namespace avx512 {
extern const RandomKernels random_kernels;
}

}  // namespace convoy::cpu
