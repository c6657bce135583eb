#include "fuzz/hdf5_mutator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "fuzz/target.h"

namespace convoy::fuzz {
namespace {

/// Bytes [begin, end) are sealed by the checksum in [end, end + 4).
struct Block {
  std::size_t begin, end;
};

/// Bob Jenkins' lookup3, hashlittle with the initial value 0: HDF5's checksum of metadata (HDF5 File Format Specification
/// 3.0, "Checksum" fields).
std::uint32_t lookup3(const std::uint8_t* key, std::size_t length) {
  using std::rotl;
  std::uint32_t a, b, c;
  a = b = c = 0xdeadbeefu + static_cast<std::uint32_t>(length);
  const auto word = [](const std::uint8_t* p, std::size_t have) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(have, 4); ++i) value |= std::uint32_t{p[i]} << (8 * i);
    return value;
  };
  for (; length > 12; key += 12, length -= 12) {
    a += word(key, 4), b += word(key + 4, 4), c += word(key + 8, 4);
    a -= c, a ^= rotl(c, 4), c += b, b -= a, b ^= rotl(a, 6), a += c, c -= b, c ^= rotl(b, 8), b += a;
    a -= c, a ^= rotl(c, 16), c += b, b -= a, b ^= rotl(a, 19), a += c, c -= b, c ^= rotl(b, 4), b += a;
  }
  if (length == 0) return c;
  a += word(key, length);
  if (length > 4) b += word(key + 4, length - 4);
  if (length > 8) c += word(key + 8, length - 8);
  c ^= b, c -= rotl(b, 14), a ^= c, a -= rotl(c, 11), b ^= a, b -= rotl(a, 25), c ^= b, c -= rotl(b, 16);
  a ^= c, a -= rotl(c, 4), b ^= a, b -= rotl(a, 14), c ^= b, c -= rotl(b, 24);
  return c;
}

std::uint64_t little_endian(const std::uint8_t* p, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{p[i]} << (8 * i);
  return value;
}

/// Where the messages of the object header at `at` begin and end; {0, 0}: it does not fit the file.
Block messages_of(const std::uint8_t* data, std::size_t size, std::size_t at) {
  if (size - at < 20) return {0, 0};
  const std::uint8_t flags = data[at + 5];
  const std::size_t extent_at = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
  const std::size_t extent_bytes = std::size_t{1} << (flags & 3);
  if (extent_at + extent_bytes > size) return {0, 0};
  const std::uint64_t extent = little_endian(data + extent_at, extent_bytes);
  const std::size_t begin = extent_at + extent_bytes;
  if (extent > size - begin || size - begin - extent < 4) return {0, 0};
  return {begin, begin + static_cast<std::size_t>(extent)};
}

/// Continuation blocks that messages in `messages` point to (type 16: address, length).
void append_continuations(const std::uint8_t* data, std::size_t size, Block messages, bool ordered, std::vector<Block>& blocks) {
  const std::size_t header = ordered ? 6 : 4;
  for (std::size_t at = messages.begin; at + header + 16 <= messages.end;) {
    const std::size_t length = little_endian(data + at + 1, 2);
    if (data[at] == 16 && length >= 16) {
      const std::uint64_t begin = little_endian(data + at + header, 8), bytes = little_endian(data + at + header + 8, 8);
      if (bytes > 8 && begin < size && bytes <= size - begin) blocks.push_back({begin, begin + bytes - 4});
    }
    at += header + length;
  }
}

std::vector<Block> sealed_blocks(const std::uint8_t* data, std::size_t size) {
  std::vector<Block> blocks;
  if (size > 48 && std::memcmp(data, "\x89HDF\r\n\x1a\n", 8) == 0 && data[8] >= 2) blocks.push_back({0, 44});
  for (std::size_t at = 0; at + 4 <= size; ++at) {
    if (std::memcmp(data + at, "OHDR", 4) != 0) continue;
    const Block messages = messages_of(data, size, at);
    if (messages.end == 0) continue;
    blocks.push_back({at, messages.end});
    append_continuations(data, size, messages, data[at + 5] & 4, blocks);
  }
  return blocks;
}

void change_bytes(std::uint8_t* data, Block block, std::minstd_rand& random) {
  constexpr std::uint8_t kOdd[] = {0, 1, 2, 3, 4, 8, 0x10, 0x7f, 0x80, 0xfe, 0xff};
  for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
    std::uint8_t& byte = data[block.begin + random() % (block.end - block.begin)];
    if (random() % 2 == 0) byte = static_cast<std::uint8_t>(byte ^ 1u << random() % 8);
    else byte = kOdd[random() % std::size(kOdd)];
  }
}

}  // namespace

std::size_t mutate_hdf5(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  std::minstd_rand random(seed + 1);
  const std::vector<Block> blocks = sealed_blocks(data, size);
  if (blocks.empty() || random() % 3 == 0) return LLVMFuzzerMutate(data, size, most);
  change_bytes(data, blocks[random() % blocks.size()], random);
  for (const Block& block : blocks) {
    const std::uint32_t sum = lookup3(data + block.begin, block.end - block.begin);
    for (std::size_t i = 0; i < 4; ++i) data[block.end + i] = static_cast<std::uint8_t>(sum >> (8 * i));
  }
  return size;
}

}  // namespace convoy::fuzz
