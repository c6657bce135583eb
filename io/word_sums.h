#pragma once
// A second checksum that has nothing in common with CRC-32C. Where damage looks like one flipped bit to the CRC, the two
// together decide whether it was: a wrong repair would have to deceive both.
#include <cstddef>
#include <cstdint>

namespace convoy {

/// Over the bytes as little-endian 32-bit words w[0], w[1], ..., the last one filled up with zeros; modulo 2^64.
struct WordSums {
  std::uint64_t plain = 0;     // sum of w[i]
  std::uint64_t weighted = 0;  // sum of (i + 1) w[i]
  friend bool operator==(const WordSums&, const WordSums&) = default;
};

WordSums word_sums(const void* data, std::size_t size_bytes);

}  // namespace convoy
