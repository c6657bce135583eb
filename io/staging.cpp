#include "io/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/crc32c.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
constexpr const char* kMemory = "/dev/shm";

std::string key_of(const std::vector<fs::path>& files) {
  Sha256 hash;
  for (const fs::path& file : files) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0)
      throw DataError(fmt::format("{}: cannot be staged: {}", file.string(), system_message(errno)));
    hash.update(fmt::format("{}\n{} {} {}\n", fs::absolute(file).lexically_normal().string(), status.st_size,
                            status.st_mtim.tv_sec, status.st_mtim.tv_nsec));
  }
  return hex(hash.finish()).substr(0, 16);
}

/// A lock on a lock file that may be removed by others: the lock counts only when its file is still the one of that name.
FileLock lock_named(const fs::path& path, FileLock::Kind kind, bool wait) {
  for (;;) {
    FileLock lock = wait ? FileLock::wait(path, kind) : FileLock::attempt(path, kind);
    struct stat status {};
    if (!lock.held() || (::fstat(lock.descriptor(), &status) == 0 && status.st_nlink > 0)) return lock;
  }
}

std::uint32_t crc_of_file(const fs::path& path, std::vector<std::byte>& buffer) {
  const FileDescriptor file = open_for_reading(path);
  const auto size = static_cast<std::int64_t>(fs::file_size(path));
  std::uint32_t crc = 0;
  for (std::int64_t offset = 0; offset < size;) {
    const auto piece = static_cast<std::size_t>(std::min<std::int64_t>(size - offset, std::int64_t(buffer.size())));
    std::string why;
    if (!read_exactly(file.get(), buffer.data(), piece, offset, why))
      throw DataError(fmt::format("{}: cannot be read: {}", path.string(), why));
    crc = crc32c(buffer.data(), piece, crc);
    offset += static_cast<std::int64_t>(piece);
  }
  return crc;
}

/// Returns the CRC-32C of what was read from the original.
std::uint32_t copy_bytes(const fs::path& from, const fs::path& to, std::vector<std::byte>& buffer) {
  const FileDescriptor in = open_for_reading(from);
  const FileDescriptor out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const auto size = static_cast<std::int64_t>(fs::file_size(from));
  const int no_room = out.valid() ? (size > 0 ? ::posix_fallocate(out.get(), 0, size) : 0) : errno;
  if (no_room != 0 && no_room != EOPNOTSUPP && no_room != EINVAL)
    throw LibraryError(fmt::format("{}: no room to stage {} ({} bytes): {}. Choose another --data.stage", to.string(),
                                   from.filename().string(), size, system_message(no_room)));
  std::uint32_t crc = 0;
  for (std::int64_t offset = 0; offset < size;) {
    auto piece = static_cast<std::size_t>(std::min<std::int64_t>(size - offset, std::int64_t(buffer.size())));
    std::string why;
    if (!read_exactly(in.get(), buffer.data(), piece, offset, why))
      throw DataError(fmt::format("{}: cannot be read: {}", from.string(), why));
    crc = crc32c(buffer.data(), piece, crc);
    for (const std::byte* data = buffer.data(); piece > 0;) {
      const ssize_t wrote = ::pwrite(out.get(), data, piece, offset);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0)
        throw LibraryError(fmt::format("{}: cannot be written: {}", to.string(), system_message(errno)));
      data += wrote, offset += wrote, piece -= static_cast<std::size_t>(wrote);
    }
  }
  return crc;
}

/// Copies all, reads the copies back, and writes the manifest last.
void copy_all(const std::vector<fs::path>& files, const fs::path& content) {
  fs::remove_all(content);
  fs::create_directories(content);
  std::vector<std::byte> buffer(kCopyBytes);
  std::string manifest;
  for (const fs::path& file : files) {
    const fs::path target = content / file.filename();
    const trace::Doing copying(trace::Activity::input, "staging " + file.filename().string(),
                               static_cast<std::int64_t>(fs::file_size(file)));
    const std::uint32_t crc = copy_bytes(file, target, buffer);
    sync_to_disk(target);
    if (crc_of_file(target, buffer) != crc)
      throw LibraryError(fmt::format("{}: the copy differs from {}. Check this disk or memory", target.string(),
                                     file.string()));
    manifest += fmt::format("{:08x} {} {}\n", crc, fs::file_size(target), file.filename().string());
  }
  const fs::path partial = content / "manifest.partial";
  std::ofstream(partial) << manifest;
  sync_to_disk(partial);
  fs::rename(partial, content / "manifest");
  sync_to_disk(content);
}

bool copies_are_good(const std::vector<fs::path>& files, const fs::path& content) {
  std::ifstream manifest(content / "manifest");
  std::vector<std::byte> buffer(kCopyBytes);
  std::size_t lines = 0;
  for (std::string line; std::getline(manifest, line); ++lines) {
    std::istringstream fields(line);
    std::uint32_t crc = 0;
    std::uintmax_t size = 0;
    std::string name;
    fields >> std::hex >> crc >> std::dec >> size >> std::ws;
    if (!std::getline(fields, name) || lines >= files.size() || files[lines].filename() != name) return false;
    std::error_code error;
    if (fs::file_size(content / name, error) != size || error || crc_of_file(content / name, buffer) != crc) return false;
  }
  return lines == files.size();
}

/// Removes copies in `folder` that nobody uses any more.
void remove_abandoned(const fs::path& folder, const std::string& own_key) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".lock" || path.stem() == own_key) continue;
    const FileLock lock = lock_named(path, FileLock::Kind::exclusive, false);
    if (!lock.held()) continue;
    std::error_code ignored;
    fs::remove_all(fs::path(path).replace_extension(), ignored);
    fs::remove(path, ignored);
  }
}

std::int64_t number_in(const char* file, const std::string& after) {
  std::ifstream in(file);
  for (std::string word; in >> word;)
    if (after.empty() || word == after) {
      std::int64_t value = 0;
      if (!after.empty()) in >> value;
      else if (word.find_first_not_of("0123456789") != std::string::npos || word.size() > 18) return 0;
      else value = std::stoll(word);
      return value;
    }
  return 0;
}

}  // namespace

Stage Stage::copy(const std::vector<fs::path>& files, const fs::path& folder, bool temporary) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder))
    throw UsageError(fmt::format("{}: cannot be made for staging: {}", folder.string(), error.message()));
  const std::string key = key_of(files);
  Stage stage;
  stage.content_ = folder / key;
  stage.lock_path_ = folder / (key + ".lock");
  stage.temporary_ = temporary;
  if (temporary) remove_abandoned(folder, key);
  for (;;) {
    if (FileLock alone = lock_named(stage.lock_path_, FileLock::Kind::exclusive, false); alone.held())
      if (!copies_are_good(files, stage.content_)) copy_all(files, stage.content_);
    // Where another process holds the lock, this waits until it has finished, or has died.
    const trace::Doing waiting(trace::Activity::input, "waiting for the copies that another rank stages");
    stage.lock_ = lock_named(stage.lock_path_, FileLock::Kind::shared, true);
    if (fs::exists(stage.content_ / "manifest")) break;
    stage.lock_ = FileLock();
  }
  for (const fs::path& file : files) stage.files_.push_back(stage.content_ / file.filename());
  return stage;
}

Stage::~Stage() {
  if (!temporary_ || !lock_.held()) return;
  if (::flock(lock_.descriptor(), LOCK_EX | LOCK_NB) != 0) return;  // others still use it
  std::error_code ignored;
  fs::remove_all(content_, ignored);
  fs::remove(lock_path_, ignored);
}

fs::path memory_folder() {
  const fs::path folder = fs::path(kMemory) / fmt::format("convoy-{}", ::getuid());
  struct stat status {};
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    throw LibraryError(fmt::format("{}: cannot be made: {}. Choose --data.stage=none", folder.string(),
                                   system_message(errno)));
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::getuid())
    throw LibraryError(fmt::format("{}: belongs to another user. Choose --data.stage=none", folder.string()));
  return folder;
}

bool fits_in_memory(std::int64_t size_bytes) {
  std::int64_t memory = number_in("/proc/meminfo", "MemTotal:") * 1024;
  for (const char* limit : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (const std::int64_t allowed = number_in(limit, ""); allowed > 0) memory = std::min(memory, allowed);
  std::error_code error;
  const fs::space_info room = fs::space(kMemory, error);
  return !error && size_bytes <= memory / 4 && static_cast<std::uintmax_t>(size_bytes) <= room.available;
}

}  // namespace convoy
