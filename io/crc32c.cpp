#include "io/crc32c.h"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
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

/// x^n modulo the polynomial, as a reflected 32-bit number (its top bit is x^0).
constexpr std::uint64_t power_of_x(int n) {
  std::uint32_t value = 0x80000000;
  for (int i = 0; i < n; ++i) value = (value >> 1) ^ (value & 1 ? kPolynomial : 0);
  return value;
}

constexpr std::size_t kFold = 256;  // bytes: four registers of 64

/// Moves each 16 bytes of `sum` by kFold bytes: their halves are multiplied by x^(8 kFold + 32) and x^(8 kFold - 32) (Gopal
/// et al. 2009, "Fast CRC computation for generic polynomials using PCLMULQDQ"; the shift by one bit is that of reflected
/// products), and adds `next`.
__attribute__((target("avx512f,vpclmulqdq"))) inline __m512i fold(__m512i sum, __m512i next) {
  const __m512i factors = _mm512_set4_epi64(power_of_x(8 * kFold - 32) << 1, power_of_x(8 * kFold + 32) << 1,
                                            power_of_x(8 * kFold - 32) << 1, power_of_x(8 * kFold + 32) << 1);
  const __m512i low = _mm512_clmulepi64_epi128(sum, factors, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(sum, factors, 0x11);
  constexpr int kXorOfThree = 0x96;
  return _mm512_ternarylogic_epi64(low, high, next, kXorOfThree);
}

struct Folded {
  __m512i a, b, c, d;
};

__attribute__((target("avx512f"))) inline Folded load_four(const unsigned char* data) {
  return {_mm512_loadu_si512(data), _mm512_loadu_si512(data + 64), _mm512_loadu_si512(data + 128),
          _mm512_loadu_si512(data + 192)};
}

/// Puts a register in front of the bytes that were loaded first.
__attribute__((target("avx512f"))) inline void put_in_front(Folded& sum, std::uint32_t state) {
  sum.a = _mm512_xor_si512(sum.a, _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state))));
}

/// The register after all that was folded.
__attribute__((target("avx512f,sse4.2"))) std::uint32_t register_of(const Folded& sum) {
  alignas(64) unsigned char bytes[kFold];
  _mm512_store_si512(bytes, sum.a);
  _mm512_store_si512(bytes + 64, sum.b);
  _mm512_store_si512(bytes + 128, sum.c);
  _mm512_store_si512(bytes + 192, sum.d);
  std::uint64_t state = 0;
  for (std::size_t i = 0; i < kFold; i += 8) state = _mm_crc32_u64(state, load64(bytes + i));
  return static_cast<std::uint32_t>(state);
}

// Folding and the instruction use different units of the processor, so both work at once: of R rounds, the first 256 R
// bytes are folded and the next 3 x 24 R go through three registers. (24: on Zen 4 a fourth instruction per register and
// round no longer hides behind the folding; measured 73 against 58 GB/s.)
constexpr std::size_t kStep = 24, kRound = kFold + 3 * kStep;
constexpr std::size_t kLeastRounds = 16;  // below, folding alone is as fast
constexpr int kMostRoundBits = 24;        // rounds of one go: 2^24, 5 GB

/// x^(8 kStep 2^i - 33) for each i: a factor of move_register, whose product takes on x^33 (one from the reflection, 32
/// from the instruction that reduces it). Each is the square of the one before, times x^33.
constexpr std::array<std::uint32_t, kMostRoundBits> make_step_factors() {
  const auto times = [](std::uint32_t a, std::uint32_t b) {  // modulo the polynomial
    std::uint32_t product = 0;
    for (int bit = 31; bit >= 0; --bit) {  // bit 31 of b is x^0
      if (b >> bit & 1) product ^= a;
      a = (a >> 1) ^ (a & 1 ? kPolynomial : 0);
    }
    return product;
  };
  std::array<std::uint32_t, kMostRoundBits> factors{};
  factors[0] = static_cast<std::uint32_t>(power_of_x(8 * kStep - 33));
  for (std::size_t i = 1; i < factors.size(); ++i)
    factors[i] = times(times(factors[i - 1], factors[i - 1]), static_cast<std::uint32_t>(power_of_x(33)));
  return factors;
}
constexpr std::array<std::uint32_t, kMostRoundBits> kStepFactors = make_step_factors();

/// state times factor times x^33.
__attribute__((target("pclmul,sse4.2"))) inline std::uint32_t move_register(std::uint32_t state, std::uint32_t factor) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128(static_cast<int>(state)),
                                               _mm_cvtsi32_si128(static_cast<int>(factor)), 0);
  return static_cast<std::uint32_t>(_mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(product))));
}

/// The factor that moves a register by kStep * rounds bytes.
__attribute__((target("pclmul,sse4.2"))) std::uint32_t step_factor(std::size_t rounds) {
  std::uint32_t factor = 0;
  for (std::size_t i = 0; rounds >> i; ++i)
    if (rounds >> i & 1) factor = factor ? move_register(factor, kStepFactors[i]) : kStepFactors[i];
  return factor;
}

/// Eight bytes of each of the three stretches.
__attribute__((target("sse4.2"))) inline void step(const unsigned char* stream, std::size_t rounds, std::uint64_t& first,
                                                   std::uint64_t& second, std::uint64_t& third) {
  first = _mm_crc32_u64(first, load64(stream));
  second = _mm_crc32_u64(second, load64(stream + kStep * rounds));
  third = _mm_crc32_u64(third, load64(stream + 2 * kStep * rounds));
}

/// The first kRound * rounds bytes.
__attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.2"))) std::uint32_t update_both_ways(std::uint32_t start,
                                                                                         const unsigned char* data,
                                                                                         std::size_t rounds) {
  const unsigned char* stream = data + kFold * rounds;
  std::uint64_t first = 0, second = 0, third = 0;
  Folded sum = load_four(data);
  put_in_front(sum, start);
  for (std::size_t round = 1; round < rounds; ++round, stream += kStep) {
    data += kFold;
    sum.a = fold(sum.a, _mm512_loadu_si512(data));
    sum.b = fold(sum.b, _mm512_loadu_si512(data + 64));
    step(stream, rounds, first, second, third);
    sum.c = fold(sum.c, _mm512_loadu_si512(data + 128));
    step(stream + 8, rounds, first, second, third);
    sum.d = fold(sum.d, _mm512_loadu_si512(data + 192));
    step(stream + 16, rounds, first, second, third);
  }
  for (std::size_t i = 0; i < kStep; i += 8) step(stream + i, rounds, first, second, third);
  const std::uint32_t factor = step_factor(rounds);
  std::uint32_t state = move_register(register_of(sum), factor) ^ static_cast<std::uint32_t>(first);
  state = move_register(state, factor) ^ static_cast<std::uint32_t>(second);
  return move_register(state, factor) ^ static_cast<std::uint32_t>(third);
}

/// As much as possible both ways at once, or by folding alone; then the instruction for the rest.
__attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.2"))) std::uint32_t update_by_folding(std::uint32_t state,
                                                                                          const unsigned char* data,
                                                                                          std::size_t size_bytes) {
  while (size_bytes >= kRound * kLeastRounds) {
    const std::size_t rounds = std::min(size_bytes / kRound, (std::size_t{1} << kMostRoundBits) - 1);
    state = update_both_ways(state, data, rounds);
    data += kRound * rounds, size_bytes -= kRound * rounds;
  }
  if (size_bytes >= 2 * kFold) {
    Folded sum = load_four(data);
    put_in_front(sum, state);
    for (data += kFold, size_bytes -= kFold; size_bytes >= kFold; data += kFold, size_bytes -= kFold) {
      const Folded next = load_four(data);
      sum = {fold(sum.a, next.a), fold(sum.b, next.b), fold(sum.c, next.c), fold(sum.d, next.d)};
    }
    state = register_of(sum);
  }
  return update_by_instruction(state, data, size_bytes);
}

std::uint32_t by_instruction(const void* data, std::size_t size_bytes, std::uint32_t crc) {
  return ~update_by_instruction(~crc, static_cast<const unsigned char*>(data), size_bytes);
}

std::uint32_t by_folding(const void* data, std::size_t size_bytes, std::uint32_t crc) {
  return ~update_by_folding(~crc, static_cast<const unsigned char*>(data), size_bytes);
}

#endif

}  // namespace

namespace detail {

std::uint32_t crc32c_table(const void* data, std::size_t size_bytes, std::uint32_t crc) {
  return ~update_by_table(~crc, static_cast<const unsigned char*>(data), size_bytes);
}

Crc32c crc32c_instruction() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return &by_instruction;
#endif
  return nullptr;
}

Crc32c crc32c_folding() {
#if defined(__x86_64__)
  if (crc32c_instruction() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq") &&
      __builtin_cpu_supports("pclmul")) return &by_folding;
#endif
  return nullptr;
}

}  // namespace detail

std::uint32_t crc32c(const void* data, std::size_t size_bytes, std::uint32_t crc) {
  static const detail::Crc32c best = [] {
    if (const detail::Crc32c folding = detail::crc32c_folding()) return folding;
    const detail::Crc32c instruction = detail::crc32c_instruction();
    return instruction ? instruction : &detail::crc32c_table;
  }();
  return best(data, size_bytes, crc);
}

}  // namespace convoy
