#include "io/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/atomic_file.h"

namespace convoy {
namespace {

std::string holder_of(int descriptor) {
  std::array<char, 256> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size() - 1, 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder;
}

/// 0 or the errno. Asks a few times: somebody may be looking (look_at_lock), for microseconds.
int lock_briefly(int descriptor) {
  constexpr int kAttempts = 10;
  int error = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) usleep(10'000);
    do error = flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    while (error == EINTR);
    if (error != EWOULDBLOCK) break;
  }
  return error;
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / ".lock";
  descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_system_error("create", file, errno);
  const int error = lock_briefly(descriptor_);
  if (error == EWOULDBLOCK) {
    std::string holder = holder_of(descriptor_);
    if (holder.empty()) holder = "another process";
    close(std::exchange(descriptor_, -1));
    throw UsageError(fmt::format("the run folder {} is in use by {}; stop that run, or choose another name with --run",
                                 folder.string(), holder));
  }
  if (error != 0)
    warning_ = fmt::format("the file system of {} has no locks ({}): make sure that no other run writes there",
                           folder.string(), std::strerror(error));
  const std::string text = fmt::format("process {} on host {}\n", static_cast<long>(getpid()), host_name());
  // Only for the message above: a failure here (disk full) must not stop the run.
  if (ftruncate(descriptor_, 0) == 0) static_cast<void>(!pwrite(descriptor_, text.data(), text.size(), 0));
}

bool RunLock::holds(const std::filesystem::path& folder) const {
  struct stat held {}, found {};
  return fstat(descriptor_, &held) == 0 && stat((folder / ".lock").c_str(), &found) == 0 && held.st_ino == found.st_ino &&
         held.st_dev == found.st_dev;
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

LockReading look_at_lock(const std::filesystem::path& folder) {
  // Anything may lie under this name: a FIFO must not hold up who looks.
  const int descriptor = open((folder / ".lock").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return {};
  LockReading reading{.holder = holder_of(descriptor)};
  if (flock(descriptor, LOCK_SH | LOCK_NB) == 0)
    reading.state = LockState::free;
  else if (errno == EWOULDBLOCK)
    reading.state = LockState::held;
  close(descriptor);
  return reading;
}

}  // namespace convoy
