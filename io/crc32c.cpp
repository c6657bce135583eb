#include "io/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace convoy {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reversed

using Table = std::array<std::uint32_t, 256>;

/// The register after eight zero bits, for each value of its low byte; tables[k] after 8 (k + 1) zero bits.
constexpr std::array<Table, 8> make_byte_tables() {
  std::array<Table, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? kPolynomial : 0);
    tables[0][i] = value;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t i = 0; i < 256; ++i)
      tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xFF];
  return tables;
}
constexpr std::array<Table, 8> kBytes = make_byte_tables();

std::uint64_t load64(const unsigned char* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof word);
  return word;
}

/// Register after `data`, eight bytes at a time ("slicing by eight": each byte's remainder stands in a table of its own).
std::uint32_t update_by_table(std::uint32_t state, const unsigned char* data, std::size_t size_bytes) {
  for (; size_bytes >= 8; data += 8, size_bytes -= 8) {
    const std::uint64_t word = load64(data) ^ state;
    state = 0;
    for (std::size_t k = 0; k < 8; ++k) state ^= kBytes[7 - k][(word >> (8 * k)) & 0xFF];
  }
  for (; size_bytes > 0; ++data, --size_bytes) state = (state >> 8) ^ kBytes[0][(state ^ *data) & 0xFF];
  return state;
}

#if defined(__x86_64__)

/// Advances a register over a fixed number of zero bytes: the map is linear, so a table for each byte of the register
/// suffices.
class ZeroBytes {
 public:
  explicit ZeroBytes(std::size_t count) {
    std::array<std::uint32_t, 32> image{};  // of each single bit
    for (std::size_t bit = 0; bit < 32; ++bit) {
      std::uint32_t state = std::uint32_t{1} << bit;
      for (std::size_t i = 0; i < count; ++i) state = (state >> 8) ^ kBytes[0][state & 0xFF];
      image[bit] = state;
    }
    for (std::size_t byte = 0; byte < 4; ++byte)
      for (std::size_t value = 0; value < 256; ++value)
        for (std::size_t bit = 0; bit < 8; ++bit)
          if (value >> bit & 1) tables_[byte][value] ^= image[8 * byte + bit];
  }
  std::uint32_t operator()(std::uint32_t state) const {
    return tables_[0][state & 0xFF] ^ tables_[1][state >> 8 & 0xFF] ^ tables_[2][state >> 16 & 0xFF] ^
           tables_[3][state >> 24];
  }

 private:
  std::array<Table, 4> tables_{};
};

/// Three stretches of kStretch bytes at a time: the instruction takes three cycles but one can start every cycle.
template <std::size_t kStretch>
__attribute__((target("sse4.2"))) std::uint64_t update_three(std::uint64_t state, const unsigned char*& data,
                                                             std::size_t& size_bytes, const ZeroBytes& shift) {
  while (size_bytes >= 3 * kStretch) {
    std::uint64_t second = 0, third = 0;
    for (const unsigned char* end = data + kStretch; data < end; data += 8) {
      state = _mm_crc32_u64(state, load64(data));
      second = _mm_crc32_u64(second, load64(data + kStretch));
      third = _mm_crc32_u64(third, load64(data + 2 * kStretch));
    }
    state = shift(static_cast<std::uint32_t>(state)) ^ second;
    state = shift(static_cast<std::uint32_t>(state)) ^ third;
    data += 2 * kStretch;
    size_bytes -= 3 * kStretch;
  }
  return state;
}

__attribute__((target("sse4.2"))) std::uint32_t update_by_instruction(std::uint32_t start, const unsigned char* data,
                                                                      std::size_t size_bytes) {
  constexpr std::size_t kLong = 2048, kShort = 128;
  static const ZeroBytes long_shift(kLong), short_shift(kShort);
  std::uint64_t state = start;
  state = update_three<kLong>(state, data, size_bytes, long_shift);
  state = update_three<kShort>(state, data, size_bytes, short_shift);
  for (; size_bytes >= 8; data += 8, size_bytes -= 8) state = _mm_crc32_u64(state, load64(data));
  auto narrow = static_cast<std::uint32_t>(state);
  for (; size_bytes > 0; ++data, --size_bytes) narrow = _mm_crc32_u8(narrow, *data);
  return narrow;
}

#endif

}  // namespace

namespace detail {

std::uint32_t crc32c_table(const void* data, std::size_t size_bytes, std::uint32_t crc) {
  return ~update_by_table(~crc, static_cast<const unsigned char*>(data), size_bytes);
}

bool has_crc32c_instruction() {
#if defined(__x86_64__)
  static const bool present = __builtin_cpu_supports("sse4.2");
  return present;
#else
  return false;
#endif
}

std::uint32_t crc32c_hardware(const void* data, std::size_t size_bytes, std::uint32_t crc) {
#if defined(__x86_64__)
  if (has_crc32c_instruction())
    return ~update_by_instruction(~crc, static_cast<const unsigned char*>(data), size_bytes);
#endif
  return crc32c_table(data, size_bytes, crc);
}

}  // namespace detail

std::uint32_t crc32c(const void* data, std::size_t size_bytes, std::uint32_t crc) {
  return detail::crc32c_hardware(data, size_bytes, crc);
}

}  // namespace convoy
