#include "io/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "io/write_fault.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".convoy-tmp";

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

fs::path temporary_name(const fs::path& target) {
  static std::atomic<unsigned> counter{0};
  return folder_of(target) / fmt::format(".{}.{}-{}-{}{}", target.filename().string(), host_name(),
                                         static_cast<long>(getpid()), counter.fetch_add(1), kSuffix);
}

/// 0, or the errno of an attempt to lock the whole file for writing without waiting. Open file description locks
/// (fcntl(2)) stand beside the flock that HDF5 may take on the same file, and closing another descriptor of the file
/// does not drop them, as it would with classic POSIX locks.
int try_lock(int descriptor) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(descriptor, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

bool held_by_another(int lock_error) { return lock_error == EAGAIN || lock_error == EACCES; }

struct TemporaryOwner {
  std::string host;
  pid_t pid;
};

/// Who made the file of this name: ".NAME.HOST-PID-N.convoy-tmp", as temporary_name gives it. None: not one of ours.
std::optional<TemporaryOwner> owner_of(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kSuffix)) return {};
  name.remove_suffix(kSuffix.size());
  const std::size_t dot = name.rfind('.');
  const std::string_view owner = name.substr(dot + 1);  // a host name holds neither '.' nor '-'
  const std::size_t dash = owner.find('-');
  if (dot == 0 || dash == 0 || dash == owner.npos) return {};
  pid_t pid = 0;
  unsigned number = 0;
  const char* end = owner.data() + owner.size();
  const auto read_pid = std::from_chars(owner.data() + dash + 1, end, pid);
  if (read_pid.ec != std::errc{} || pid <= 0 || read_pid.ptr == end || *read_pid.ptr != '-') return {};
  const auto read_number = std::from_chars(read_pid.ptr + 1, end, number);
  if (read_number.ec != std::errc{} || read_number.ptr != end) return {};
  return TemporaryOwner{std::string(owner.substr(0, dash)), pid};
}

/// Where locks do not work: dead when its process on this machine is gone, or when nobody touched it for an hour and
/// it belongs to another machine.
bool owner_is_gone(const fs::path& file, const TemporaryOwner& owner) {
  if (owner.host == host_name()) return kill(owner.pid, 0) != 0 && errno == ESRCH;
  struct stat status{};
  if (lstat(file.c_str(), &status) != 0) return false;
  const auto age = std::chrono::system_clock::now() - std::chrono::system_clock::from_time_t(status.st_mtime);
  return age > std::chrono::hours(1);
}

bool is_dead(const fs::path& file, const TemporaryOwner& owner) {
  const int descriptor = open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return owner_is_gone(file, owner);  // a symbolic link, or a file of another user
  const int error = try_lock(descriptor);
  const bool dead = error == 0 || (!held_by_another(error) && owner_is_gone(file, owner));
  close(descriptor);
  return dead;
}

}  // namespace

void throw_system_error(std::string_view action, const fs::path& file, int error) {
  std::string hint;
  if (error == ENOSPC || error == EDQUOT) hint = "; free some space, or choose another folder with --runs";
  if (error == EFBIG) hint = "; the file size limit (ulimit -f) is too small";
  if (error == EACCES || error == EROFS || error == EPERM) hint = "; choose a writable folder with --runs";
  throw SystemError(fmt::format("cannot {} {}: {}{}", action, file.string(), std::strerror(error), hint), error);
}

std::string host_name() {
  std::array<char, 256> buffer{};
  gethostname(buffer.data(), buffer.size() - 1);
  std::string name(buffer.data());
  name = name.substr(0, name.find('.'));
  for (char& c : name)
    if (!isalnum(static_cast<unsigned char>(c))) c = '_';
  return name.empty() ? "localhost" : name;
}

TemporaryFile::TemporaryFile(fs::path target) : target_(std::move(target)) {
  constexpr int kAttempts = 8;
  for (int attempt = 1; attempt <= kAttempts; ++attempt)
    if (create()) return;
  throw_system_error("create a temporary file beside", target_, EEXIST);
}

/// False: try again with the next name. A cleaner may lock, or even remove, the file between open and lock.
bool TemporaryFile::create() {
  path_ = temporary_name(target_);
  descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    if (errno == EEXIST) return false;
    throw_system_error("create a temporary file for", target_, errno);
  }
  const int error = try_lock(descriptor_);
  struct stat status{};
  const bool mine = !held_by_another(error) && fstat(descriptor_, &status) == 0 && status.st_nlink == 1;
  if (!mine) {
    close(std::exchange(descriptor_, -1));
    unlink(path_.c_str());
  }
  return mine;
}

TemporaryFile::~TemporaryFile() {
  if (!committed_ && descriptor_ >= 0) unlink(path_.c_str());
  if (descriptor_ >= 0) close(descriptor_);
}

void TemporaryFile::write(const void* data, std::size_t size_bytes) {
  const auto* next = static_cast<const char*>(data);
  while (size_bytes > 0) {
    const ssize_t written = write_at(descriptor_, next, size_bytes, size_bytes_);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error("write", target_, errno);
    next += written;
    size_bytes_ += written;
    size_bytes -= static_cast<std::size_t>(written);
  }
}

void TemporaryFile::commit() {
  if (fsync(descriptor_) != 0) throw_system_error("write to the disk", target_, errno);
  about_to_rename();
  if (rename(path_.c_str(), target_.c_str()) != 0) throw_system_error("rename the finished file to", target_, errno);
  committed_ = true;
  sync_folder(folder_of(target_));
}

void write_file_atomically(const fs::path& file, std::string_view content) {
  TemporaryFile temporary(file);
  temporary.write(content.data(), content.size());
  temporary.commit();
}

void replace_symlink(const fs::path& link, const fs::path& target) {
  const fs::path temporary = temporary_name(link);
  if (symlink(target.c_str(), temporary.c_str()) != 0) throw_system_error("create the link", link, errno);
  if (rename(temporary.c_str(), link.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    throw_system_error("replace the link", link, error);
  }
  sync_folder(folder_of(link));
}

void sync_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw_system_error("open the folder", folder, errno);
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  // Some network file systems refuse fsync on a folder; there the rename itself is all that can be had.
  if (error != 0 && error != EINVAL && error != ENOTSUP) throw_system_error("write to the disk", folder, error);
}

std::vector<std::string> dead_temporaries(const fs::path& folder) {
  std::vector<std::string> dead;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const auto owner = owner_of(name);
    if (owner && is_dead(entry.path(), *owner)) dead.push_back(name);
  }
  return dead;
}

std::vector<std::string> remove_dead_temporaries(const fs::path& folder) {
  std::vector<std::string> dead = dead_temporaries(folder);
  std::erase_if(dead, [&](const std::string& name) { return unlink((folder / name).c_str()) != 0; });
  return dead;
}

}  // namespace convoy
