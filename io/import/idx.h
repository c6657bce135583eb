#pragma once
// IDX files (MNIST's format): bytes 0 and 1 are zero, byte 2 is the element type, byte 3 the number of axes; one
// big-endian 32-bit extent per axis; then the elements, big-endian, last axis fastest. Private to io/import.
#include <filesystem>
#include <memory>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"
#include "io/import/byte_source.h"

namespace convoy {

/// An IDX file whose header, length and (for gzip) checksum have been checked; its elements are then streamed.
class IdxFile {
 public:
  /// Throws DataError: not IDX, a type other than uint8 and float32, axes other than `axes`, an extent of zero, fewer or
  /// more elements than the header says.
  IdxFile(const std::filesystem::path& path, int axes);
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  /// The next `size_bytes` bytes of elements, in this machine's byte order.
  void read(std::byte* out, std::size_t size_bytes);

 private:
  std::filesystem::path path_;
  std::unique_ptr<ByteSource> source_;
  Shape shape_;
  DType dtype_ = DType::u8;
};

}  // namespace convoy
