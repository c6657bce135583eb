#pragma once
// CRC-32C (Castagnoli; RFC 3720 appendix B.4): polynomial 0x1EDC6F41, reflected, initial value and final xor all ones.
// Uses the processor's CRC instruction where there is one and a table elsewhere; both give the same numbers.
#include <cstddef>
#include <cstdint>

namespace convoy {

/// The CRC-32C of `size_bytes` bytes. To continue over a second piece pass the first piece's CRC as `crc`:
/// crc32c(ab) == crc32c(b, crc32c(a)).
std::uint32_t crc32c(const void* data, std::size_t size_bytes, std::uint32_t crc = 0);

namespace detail {
/// The implementations behind crc32c(), apart for the tests. Both take and return the plain CRC, as crc32c() does.
std::uint32_t crc32c_table(const void* data, std::size_t size_bytes, std::uint32_t crc);
/// Calls crc32c_table where the processor has no CRC instruction.
std::uint32_t crc32c_hardware(const void* data, std::size_t size_bytes, std::uint32_t crc);
bool has_crc32c_instruction();
}  // namespace detail

}  // namespace convoy
