#pragma once
// A data set that a test makes itself: 28x28 images of four classes (which quarter is bright) under noise, as IDX files.
#include <cstdint>
#include <filesystem>
#include <string>

#include "io/temporary_folder.h"

namespace convoy {

inline std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xff);
  return bytes;
}

/// NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte.
inline void write_small_digits(const std::filesystem::path& folder, const std::string& name, std::uint32_t count) {
  constexpr std::uint32_t kSide = 28;
  std::string images = big_endian(0x803) + big_endian(count) + big_endian(kSide) + big_endian(kSide);
  std::string labels = big_endian(0x801) + big_endian(count);
  std::uint32_t noise = 12345 + static_cast<std::uint32_t>(name.size());
  for (std::uint32_t sample = 0; sample < count; ++sample) {
    const std::uint32_t label = sample * 7 % 4;
    labels += static_cast<char>(label);
    for (std::uint32_t y = 0; y < kSide; ++y)
      for (std::uint32_t x = 0; x < kSide; ++x) {
        noise = noise * 1664525 + 1013904223;
        const bool bright = (y >= kSide / 2) == (label >= 2) && (x >= kSide / 2) == (label % 2 == 1);
        images += static_cast<char>((noise >> 24) / 2 + (bright ? 90 : 0));
      }
  }
  write_bytes(folder / (name + "-images-idx3-ubyte"), images);
  write_bytes(folder / (name + "-labels-idx1-ubyte"), labels);
}

}  // namespace convoy
