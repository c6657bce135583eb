#include "io/flipped_bit.h"

#include <algorithm>

namespace convoy {

std::vector<std::uint64_t> flipped_bits(std::uint32_t before, std::uint32_t after, std::uint64_t size_bytes) {
  // The last bit's error has the CRC x^32 mod P, each bit before it x times as much. The polynomial is (x + 1) times a
  // primitive one of degree 31: the powers of x repeat after 2^31 - 1.
  constexpr std::uint32_t kPolynomial = 0x82F63B78;  // bits reversed, as the CRC
  constexpr std::uint64_t kPeriod = (std::uint64_t{1} << 31) - 1;
  const std::uint64_t bits = 8 * size_bytes;
  const std::uint32_t wanted = before ^ after;
  std::vector<std::uint64_t> found;
  std::uint32_t error = kPolynomial;
  for (std::uint64_t from_end = 0; from_end < std::min(bits, kPeriod); ++from_end) {
    if (error == wanted) {
      for (std::uint64_t same = from_end; same < bits; same += kPeriod) found.push_back(bits - 1 - same);
      break;
    }
    error = (error >> 1) ^ (kPolynomial & (0u - (error & 1)));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace convoy
