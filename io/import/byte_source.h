#pragma once
// The bytes of a file, inflated where they are gzip. Private to io/import.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>

namespace convoy {

/// Read front to back. All failures are DataErrors that name the file.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Up to `size_bytes` bytes; fewer only at the end. Throws DataError: unreadable, damaged or cut gzip.
  virtual std::size_t read(std::byte* out, std::size_t size_bytes) = 0;
};

/// Opens a file; gzip (also of several members, RFC 1952 section 2.2) is known by its content, not by its name.
std::unique_ptr<ByteSource> open_bytes(const std::filesystem::path& path);

/// Bytes that open_bytes(path) delivers in all. For gzip this reads all of it and so checks it too, but stops at `enough`: some
/// kilobytes may inflate to gigabytes.
std::int64_t count_bytes(const std::filesystem::path& path, std::int64_t enough = std::numeric_limits<std::int64_t>::max());

}  // namespace convoy
