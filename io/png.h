#pragma once
// PNG files (ISO/IEC 15948) through libpng.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

/// What a file may ask for before it is refused: a small file can claim a huge picture.
struct PngLimits {
  std::int64_t pixels = std::int64_t{64} << 20;  // 64 megapixels, at most 512 MiB once decoded
};

/// The picture as [h, w, c], uint8, or uint16 (native byte order) for 16-bit files. c = 1 gray, 2 gray + alpha, 3 RGB,
/// 4 RGBA. Palettes become RGB, transparent colours an alpha channel, 1-, 2- and 4-bit samples are stretched to
/// 0..255; interlacing is undone; gamma and colour profiles are left alone.
/// Memory: the result, the file, a row and about 1 MiB. Throws DataError naming `name` (a path, or a shard and a sample) for
/// what is no PNG, damaged (every CRC is checked), cut, or over the limits; LibraryError if libpng cannot start.
Tensor decode_png(std::span<const std::byte> file, const std::string& name, const PngLimits& limits = {});

/// The same from a file; a file that cannot be read is a DataError too.
Tensor read_png(const std::filesystem::path& path, const PngLimits& limits = {});

/// The same bytes as write_png's file.
std::vector<std::byte> encode_png(const Tensor& picture);

/// Writes [h, w] or [h, w, 1] as gray, [h, w, 3] as RGB, uint8, under a temporary name that is then renamed.
/// Throws UsageError for other tensors, LibraryError naming the path if it cannot be written.
void write_png(const std::filesystem::path& path, const Tensor& picture);

}  // namespace convoy
