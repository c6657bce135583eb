// One PNG file. Odd seeds of damage stop at a wrong CRC, so the mutator below also seals the chunks again.
#include <zlib.h>

#include <cstring>

#include "fuzz/target.h"
#include "io/png.h"

namespace {

std::uint32_t big_endian(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

/// Chunks follow the signature of 8 bytes: length, type, data, CRC-32 of type and data (PNG specification, section 5.3).
void seal_chunks(std::uint8_t* data, std::size_t size) {
  for (std::size_t at = 8; at + 12 <= size;) {
    const std::size_t length = big_endian(data + at);
    if (length > size - at - 12) return;
    const auto crc = static_cast<std::uint32_t>(crc32(0, data + at + 4, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) data[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    at += length + 12;
  }
}

}  // namespace

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 2 == 0) seal_chunks(data, size);
  return size;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  return fuzz::read_or_refuse([&] {
    const Tensor picture = decode_png({reinterpret_cast<const std::byte*>(data), size}, "input.png", {.pixels = 1 << 20});
    fuzz::promise(picture.shape().rank() == 3 && picture.elements() <= 4 << 20, "a picture within the limit");
  });
}
