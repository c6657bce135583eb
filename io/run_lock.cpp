#include "io/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
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
  return holder.empty() ? "another process" : holder;
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / ".lock";
  descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_system_error("create", file, errno);
  int error = 0;
  while (flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && (error = errno) == EINTR) error = 0;
  if (error == EWOULDBLOCK) {
    const std::string holder = holder_of(descriptor_);
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

RunLock::~RunLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace convoy
