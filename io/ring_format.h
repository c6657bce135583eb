#pragma once
// The header of a ring file as it lies on disk (io/ring_file.h). Private to io.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "io/crc32c.h"
#include "io/ring_file.h"

namespace convoy::ring_format {

static_assert(std::endian::native == std::endian::little, "the header is stored as it lies in memory");

inline constexpr std::array<char, 8> kMagic = {'C', 'V', 'Y', 'R', 'I', 'N', 'G', '1'};
inline constexpr std::uint32_t kVersion = 1;

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion, crc = 0;
  std::int32_t rank = 0, size = 0;
  std::int64_t pid = 0;
  std::int32_t life = 0;
  std::uint32_t finished = 0;
  std::int64_t began_ns = 0, copy_clock = 0, copy_ns = 0;
  std::uint32_t slot = 0, block_bytes = 0, block_crc = 0, zero = 0;
  std::array<char, 64> host{};
  std::array<char, 368> rest{};
};
static_assert(sizeof(Header) == kRingHeaderBytes);

inline std::uint32_t crc_of(Header header) {
  header.crc = 0;
  return crc32c(&header, sizeof header);
}

inline std::int64_t slot_offset(std::uint32_t slot) {
  return static_cast<std::int64_t>(kRingFirstSlot + slot * kRingSlotBytes);
}

}  // namespace convoy::ring_format
