#include "distributed/watch/process.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>

namespace convoy {
namespace {

ProcessState state_of(char letter) {
  switch (letter) {
    case 'D':
      return ProcessState::blocked;
    case 'T':
      return ProcessState::stopped;
    case 't':
      return ProcessState::traced;
    case 'Z':
    case 'X':
    case 'x':
      return ProcessState::gone;
    default:
      return ProcessState::runs;
  }
}

}  // namespace

// By system call: <sys/pidfd.h> of glibc 2.36 does not link from C++.
// An open descriptor of /proc/PID/stat belongs to that one process: once it has ended, reading fails with ESRCH.
WatchedProcess::WatchedProcess(int pid)
    : stat_(::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC)),
      pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

WatchedProcess::~WatchedProcess() {
  for (const int descriptor : {stat_, pidfd_})
    if (descriptor >= 0) ::close(descriptor);
}

ProcessState WatchedProcess::state() const {
  if (stat_ < 0) return ProcessState::unknown;
  char text[512];  // "PID (NAME) STATE ...", the name at most 64 characters, parentheses among them perhaps
  const ssize_t length = ::pread(stat_, text, sizeof text, 0);
  if (length < 0) return errno == ESRCH ? ProcessState::gone : ProcessState::unknown;
  const std::string_view line(text, static_cast<std::size_t>(length));
  const std::size_t name_end = line.rfind(')');
  if (name_end == line.npos || name_end + 2 >= line.size()) return ProcessState::unknown;
  return state_of(line[name_end + 2]);
}

void WatchedProcess::kill_if_stopped() const {
  const ProcessState now = state();
  if (pidfd_ >= 0 && (now == ProcessState::stopped || now == ProcessState::traced))
    static_cast<void>(::syscall(SYS_pidfd_send_signal, pidfd_, SIGKILL, nullptr, 0));
}

}  // namespace convoy
