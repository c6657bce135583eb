#pragma once
// Which single bit was flipped, told by the CRC-32C before and after. The CRC is linear: the exclusive or of the two is
// the CRC of the error alone, and it differs for every bit of up to 2^31 - 33 bits.
#include <cstdint>
#include <vector>

namespace convoy {

/// Bits (8 * byte + bit, bit 0 the least significant) of `size_bytes` bytes whose flip turns the CRC-32C `before` into
/// `after`, ascending. At most one up to 2^31 - 1 bits, one more for each further 2^31 - 1. Takes about a second for 10^9
/// bits.
std::vector<std::uint64_t> flipped_bits(std::uint32_t before, std::uint32_t after, std::uint64_t size_bytes);

}  // namespace convoy
