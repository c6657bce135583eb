#include "io/word_sums.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace convoy {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

WordSums word_sums(const void* data, std::size_t size_bytes) {
  constexpr std::size_t kBlock = 1024;  // words; their weighted sum from 1 fits 64 bits without wrapping
  const auto* bytes = static_cast<const std::byte*>(data);
  WordSums sums;
  for (std::uint64_t first = 0; size_bytes > 0; first += kBlock) {
    std::uint32_t words[kBlock] = {};
    const std::size_t taken = std::min(sizeof words, size_bytes);
    std::memcpy(words, bytes, taken);
    std::uint64_t plain = 0, weighted = 0;
    for (std::uint64_t i = 0; i < kBlock; ++i) {
      plain += words[i];
      weighted += (i + 1) * words[i];
    }
    sums.plain += plain;
    sums.weighted += first * plain + weighted;
    bytes += taken;
    size_bytes -= taken;
  }
  return sums;
}

}  // namespace convoy
