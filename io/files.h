#pragma once
// Files of the operating system: owners and checked calls. Private to io.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace convoy {

/// Owner of a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int raw) noexcept : raw_(raw) {}
  FileDescriptor(FileDescriptor&& other) noexcept : raw_(std::exchange(other.raw_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~FileDescriptor();
  int get() const noexcept { return raw_; }
  bool valid() const noexcept { return raw_ >= 0; }

 private:
  int raw_ = -1;
};

/// Opens a regular file for reading. Throws DataError with the system's words.
FileDescriptor open_for_reading(const std::filesystem::path& path);
/// Reads exactly `size_bytes` from `offset`. Returns false, with the reason in `why`, when the file ends before or the
/// system reports an error. Any number of threads at once.
bool read_exactly(int descriptor, std::byte* out, std::size_t size_bytes, std::int64_t offset, std::string& why);
/// A whole file, at most 1 GiB. Throws DataError.
std::vector<std::byte> read_whole(const std::filesystem::path& path);
/// Brings a file's or a folder's content to the disk. Throws LibraryError.
void sync_to_disk(const std::filesystem::path& path);
/// The system's words for an errno.
std::string system_message(int error);

/// An exclusive or shared lock of a file or folder, held until destruction; the system releases it when the process
/// ends, however it ends.
class FileLock {
 public:
  enum class Kind { shared, exclusive };
  FileLock() = default;
  /// Waits for it. Throws LibraryError.
  static FileLock wait(const std::filesystem::path& path, Kind kind);
  /// Does not wait; `held()` is false when another process has it. Where the file system has no locks, it is held.
  static FileLock attempt(const std::filesystem::path& path, Kind kind);
  bool held() const { return descriptor_.valid(); }
  int descriptor() const { return descriptor_.get(); }

 private:
  explicit FileLock(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}
  FileDescriptor descriptor_;
};

}  // namespace convoy
