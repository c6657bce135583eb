#include "io/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/tensor/error.h"

namespace convoy {
namespace {

/// A lock needs an open file; folders open for reading only, files are created.
FileDescriptor open_for_locking(const std::filesystem::path& path) {
  const bool is_folder = std::filesystem::is_directory(path);
  FileDescriptor descriptor(is_folder ? ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                      : ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!descriptor.valid())
    throw LibraryError(fmt::format("{}: cannot be opened for locking: {}", path.string(), system_message(errno)));
  return descriptor;
}

/// False: another process holds it (only when not waiting).
bool lock(int descriptor, int operation, const std::filesystem::path& path) {
  while (::flock(descriptor, operation) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return false;
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS) return true;
    throw LibraryError(fmt::format("{}: flock failed: {}", path.string(), system_message(errno)));
  }
  return true;
}

int operation_of(FileLock::Kind kind) { return kind == FileLock::Kind::shared ? LOCK_SH : LOCK_EX; }

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (raw_ >= 0) ::close(raw_);
}

std::string system_message(int error) { return std::generic_category().message(error); }

FileDescriptor open_for_reading(const std::filesystem::path& path) {
  // Not to wait for the writer of a pipe; for regular files O_NONBLOCK means nothing.
  FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor.valid())
    throw DataError(fmt::format("{}: cannot be opened: {}", path.string(), system_message(errno)));
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    throw DataError(fmt::format("{}: not a file but a folder, pipe or device", path.string()));
  return descriptor;
}

std::vector<std::byte> read_whole(const std::filesystem::path& path) {
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
  const FileDescriptor descriptor = open_for_reading(path);
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  if (size > kMostBytes) throw DataError(fmt::format("{}: {} bytes; at most {} are read", path.string(), size, kMostBytes));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::string why;
  if (!read_exactly(descriptor.get(), bytes.data(), bytes.size(), 0, why))
    throw DataError(fmt::format("{}: cannot be read: {}", path.string(), why));
  return bytes;
}

bool read_exactly(int descriptor, std::byte* out, std::size_t size_bytes, std::int64_t offset, std::string& why) {
  while (size_bytes > 0) {
    const ssize_t got = ::pread(descriptor, out, size_bytes, offset);
    if (got < 0) {
      if (errno == EINTR) continue;
      why = system_message(errno);
      return false;
    }
    if (got == 0) {
      why = fmt::format("the file ends {} bytes too early", size_bytes);
      return false;
    }
    out += got;
    offset += got;
    size_bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

void sync_to_disk(const std::filesystem::path& path) {
  const FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor.valid() || ::fsync(descriptor.get()) != 0)
    throw LibraryError(fmt::format("{}: cannot be brought to the disk: {}", path.string(), system_message(errno)));
}

FileLock FileLock::wait(const std::filesystem::path& path, Kind kind) {
  FileDescriptor descriptor = open_for_locking(path);
  lock(descriptor.get(), operation_of(kind), path);
  return FileLock(std::move(descriptor));
}

FileLock FileLock::attempt(const std::filesystem::path& path, Kind kind) {
  FileDescriptor descriptor = open_for_locking(path);
  if (!lock(descriptor.get(), operation_of(kind) | LOCK_NB, path)) return {};
  return FileLock(std::move(descriptor));
}

}  // namespace convoy
