#include "io/hdf5_metadata_repair.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

namespace convoy::hdf5 {
namespace {

/// A block as it may lie in the file: its checksum stands in `checksum_at`, and covers all bytes of the block before it,
/// or all but itself where the block goes on behind it.
struct Extent {
  std::size_t size_bytes, checksum_at;
};
using Extents = std::vector<Extent>;

struct Kind {
  const char* name;
  std::string_view signature;  // with the version that follows it
  /// Sizes that the block may have, given the file from its first byte on, and the size that another block states (0:
  /// none does).
  Extents (*extents)(std::span<const std::byte> block, std::size_t size_bytes);
};

std::uint64_t number_at(std::span<const std::byte> block, std::size_t at, std::size_t size_bytes) {
  std::uint64_t value = 0;
  if (at + size_bytes <= block.size()) std::memcpy(&value, block.data() + at, size_bytes);
  return value;
}

/// Of a block that ends with its checksum.
Extent ending(std::size_t size_bytes) { return {size_bytes, size_bytes - 4}; }

constexpr std::size_t kMostBytes = 64 << 10;     // of an object header: HDF5's own limit for messages
constexpr std::size_t kMostHeapBytes = 8 << 10;  // of a block of a heap: some thousand names in one group

/// Prefix: signature, version, flags, [times 16], [attribute limits 4], size of the messages (1, 2, 4 or 8 bytes).
Extents of_object_header(std::span<const std::byte> block, std::size_t) {
  const std::uint64_t flags = number_at(block, 5, 1);
  const std::size_t size_at = 6 + ((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0);
  const std::size_t width = std::size_t{1} << (flags & 3);
  const std::uint64_t messages = number_at(block, size_at, width);
  if (messages > kMostBytes) return {};
  return {ending(size_at + width + static_cast<std::size_t>(messages) + 4)};
}

/// Continuation of an object header: its size stands in that header.
Extents of_continuation(std::span<const std::byte>, std::size_t size_bytes) {
  return size_bytes < 16 ? Extents{} : Extents{ending(size_bytes)};
}

Extents of_superblock(std::span<const std::byte>, std::size_t) { return {ending(48)}; }
Extents of_heap(std::span<const std::byte>, std::size_t) { return {ending(146)}; }
Extents of_tree(std::span<const std::byte>, std::size_t) { return {ending(38)}; }

/// Blocks of a heap: 512 bytes times a power of two; the checksum follows signature, version, the address of the heap
/// and the offset in it (4 bytes for links, 5 for attributes).
Extents of_direct_block(std::span<const std::byte>, std::size_t) {
  Extents extents;
  for (std::size_t size = 512; size <= kMostHeapBytes; size *= 2)
    for (std::size_t checksum_at : {17u, 18u}) extents.push_back({size, checksum_at});
  return extents;
}

/// A row of addresses: signature, version, address of the heap, offset in it, addresses of 8 bytes.
Extents of_indirect_block(std::span<const std::byte>, std::size_t) {
  Extents extents;
  for (std::size_t head : {17u, 18u})
    for (std::size_t addresses = 4; addresses <= 128; addresses += 4) extents.push_back(ending(head + 8 * addresses + 4));
  return extents;
}

/// A node of a tree: signature, version, type, records of 11 bytes (links by name), 15 (by order) or 17, 13 (attributes).
Extents of_leaf(std::span<const std::byte>, std::size_t) {
  Extents extents;
  for (std::size_t record : {11u, 15u, 17u, 13u})
    for (std::size_t records = 1; 6 + records * record + 4 <= 512; ++records)
      extents.push_back(ending(6 + records * record + 4));
  return extents;
}

/// The same with pointers to children, whose size depends on the depth: every size that a node of 512 bytes may have.
Extents of_inner_node(std::span<const std::byte>, std::size_t) {
  Extents extents;
  for (std::size_t size = 30; size <= 512; ++size) extents.push_back(ending(size));
  return extents;
}

using namespace std::string_view_literals;
constexpr std::array<Kind, 9> kKinds{{{"object header", "OHDR\2"sv, of_object_header},
                                      {"object header continuation", "OCHK"sv, of_continuation},
                                      {"superblock", "\x89HDF\r\n\x1a\n"sv, of_superblock},
                                      {"heap header", "FRHP\0"sv, of_heap},
                                      {"heap block", "FHDB\0"sv, of_direct_block},
                                      {"heap table", "FHIB\0"sv, of_indirect_block},
                                      {"tree header", "BTHD\0"sv, of_tree},
                                      {"tree leaf", "BTLF\0"sv, of_leaf},
                                      {"tree node", "BTIN\0"sv, of_inner_node}}};

bool checksum_fits(std::span<const std::byte> block, const Extent& extent) {
  std::uint32_t stored = 0;
  std::memcpy(&stored, block.data() + extent.checksum_at, sizeof stored);
  if (extent.checksum_at + 4 == extent.size_bytes) return metadata_checksum(block.data(), extent.checksum_at) == stored;
  std::array<std::byte, kMostHeapBytes> without;
  std::memcpy(without.data(), block.data(), extent.size_bytes);
  std::memset(without.data() + extent.checksum_at, 0, sizeof stored);
  return metadata_checksum(without.data(), extent.size_bytes) == stored;
}

/// A block at its place in the file, whose checksum may be wrong.
class Suspect {
 public:
  Suspect(std::span<const std::byte> file, std::size_t begin, const Kind& kind)
      : block_(file.subspan(begin)), kind_(kind), size_elsewhere_(size_elsewhere(file, begin, kind)) {}

  bool good() const { return fits(block_); }

  /// The bit of the block that mends it. Bits of the prefix may change its size, so they are tried first, with every
  /// size that results; the others extent by extent.
  std::optional<std::size_t> mending_bit() const {
    std::vector<std::byte> changed(block_.begin(), block_.begin() + static_cast<std::ptrdiff_t>(std::min(block_.size(), kMostBytes)));
    constexpr std::size_t kPrefixBits = 8 * 36;
    for (std::size_t bit = 0; bit < std::min(kPrefixBits, 8 * changed.size()); ++bit) {
      flip(changed, bit);
      if (fits(changed)) return bit;
      flip(changed, bit);
    }
    for (const Extent& extent : kind_.extents(block_, size_elsewhere_)) {
      if (extent.size_bytes > changed.size()) continue;
      for (std::size_t bit = kPrefixBits; bit < 8 * extent.size_bytes; ++bit) {
        flip(changed, bit);
        if (checksum_fits(changed, extent)) return bit;
        flip(changed, bit);
      }
    }
    return {};
  }

 private:
  static void flip(std::vector<std::byte>& bytes, std::size_t bit) { bytes[bit / 8] ^= std::byte{1} << bit % 8; }

  bool fits(std::span<const std::byte> block) const {
    const Extents extents = kind_.extents(block, size_elsewhere_);
    return std::any_of(extents.begin(), extents.end(), [&](const Extent& extent) {
      return extent.size_bytes <= block.size() && checksum_fits(block, extent);
    });
  }

  /// An object header's message gives the address of its continuation and, behind it, the size. 0: nobody does.
  static std::size_t size_elsewhere(std::span<const std::byte> file, std::size_t begin, const Kind& kind) {
    if (kind.extents != of_continuation) return 0;
    std::array<std::byte, 8> address;
    std::memcpy(address.data(), &begin, sizeof begin);
    for (auto at = file.begin();; ++at) {
      at = std::search(at, file.end(), address.begin(), address.end());
      if (file.end() - at < 16) return 0;
      const std::uint64_t size = number_at(file, static_cast<std::size_t>(at - file.begin()) + 8, 8);
      if (size >= 16 && size <= kMostBytes) return static_cast<std::size_t>(size);
    }
  }

  std::span<const std::byte> block_;
  const Kind& kind_;
  std::size_t size_elsewhere_;
};

std::uint32_t first_word(std::string_view signature) {
  std::uint32_t word = 0;
  std::memcpy(&word, signature.data(), sizeof word);
  return word;
}

/// Whether the signature stands here, perhaps with one flipped bit.
bool begins_with(std::span<const std::byte> rest, std::string_view signature) {
  int wrong = 0;
  for (std::size_t i = 0; i < signature.size(); ++i)
    wrong += std::popcount(static_cast<std::uint8_t>(static_cast<std::uint8_t>(rest[i]) ^ static_cast<std::uint8_t>(signature[i])));
  return wrong <= 1;
}

}  // namespace

std::uint32_t metadata_checksum(const std::byte* data, std::size_t size_bytes) {
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(size_bytes), b = a, c = a;
  const auto word = [](const std::byte* at) {
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  const auto mix = [](std::uint32_t& x, std::uint32_t y, std::uint32_t& z, int by) {
    x = (x - z) ^ std::rotl(z, by);
    z += y;
  };
  for (; size_bytes > 12; data += 12, size_bytes -= 12) {
    a += word(data);
    b += word(data + 4);
    c += word(data + 8);
    mix(a, b, c, 4);
    mix(b, c, a, 6);
    mix(c, a, b, 8);
    mix(a, b, c, 16);
    mix(b, c, a, 19);
    mix(c, a, b, 4);
  }
  if (size_bytes == 0) return c;
  std::array<std::byte, 12> last{};
  std::memcpy(last.data(), data, size_bytes);
  a += word(last.data());
  b += word(last.data() + 4);
  c += word(last.data() + 8);
  const auto finish = [](std::uint32_t& x, std::uint32_t y, int by) { x = (x ^ y) - std::rotl(y, by); };
  finish(c, b, 14);
  finish(a, c, 11);
  finish(b, a, 25);
  finish(c, b, 16);
  finish(a, c, 4);
  finish(b, a, 14);
  finish(c, b, 24);
  return c;
}

std::vector<MetadataRepair> find_metadata_repairs(std::span<const std::byte> file) {
  constexpr std::size_t kLeast = 16;  // bytes of the smallest block
  std::array<std::uint32_t, kKinds.size()> words{};
  std::transform(kKinds.begin(), kKinds.end(), words.begin(), [](const Kind& kind) { return first_word(kind.signature); });
  std::vector<MetadataRepair> repairs;
  for (std::size_t begin = 0; begin + kLeast <= file.size(); ++begin) {
    std::uint32_t here = 0;
    std::memcpy(&here, file.data() + begin, sizeof here);
    for (std::size_t k = 0; k < kKinds.size(); ++k) {
      if (std::popcount(here ^ words[k]) > 1 || !begins_with(file.subspan(begin), kKinds[k].signature)) continue;
      const Suspect block(file, begin, kKinds[k]);
      if (block.good()) continue;
      if (const auto bit = block.mending_bit()) repairs.push_back({kKinds[k].name, begin, 8 * begin + *bit});
    }
  }
  return repairs;
}

}  // namespace convoy::hdf5
