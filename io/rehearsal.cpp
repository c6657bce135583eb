#include "io/rehearsal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <new>
#include <sstream>

#include "core/tensor/error.h"
#include "io/files.h"

namespace convoy {
namespace {

constexpr rlim_t kProcessorSeconds = 300;
constexpr rlim_t kMoreMemory = rlim_t{4} << 30;
constexpr int kAttempts = 3;                             // where children meet a lock that nobody will release
constexpr std::chrono::milliseconds kLookEvery{100};     // at a child that is silent
constexpr std::chrono::milliseconds kLongestLock{1'000};  // asleep in a lock without any work in between
constexpr std::chrono::milliseconds kLongestSleep{60'000};  // asleep elsewhere: a slow file system
constexpr std::size_t kLongestMessage = 16'384;

// What the child says through its pipe, one letter each; after the last two a message follows.
constexpr char kReady = 'r', kDone = 'k', kUsage = 'u', kData = 'd';

void say(int pipe, std::string_view words) {
  while (!words.empty()) {
    const ssize_t wrote = ::write(pipe, words.data(), words.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    words.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

/// Bytes of address space in use; 0: not known (or meaningless, under sanitizers).
rlim_t address_space() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 0;
#else
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
#endif
}

void restrict_child(rlim_t space_before) {
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU})
    std::signal(signal, SIG_DFL);  // MPI's handlers would print the child's death
  static_cast<void>(::alarm(0));
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) static_cast<void>(::dup2(nowhere, STDERR_FILENO));
  rlimit limit{0, 0};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &limit));
  limit = {kProcessorSeconds, kProcessorSeconds};
  static_cast<void>(::setrlimit(RLIMIT_CPU, &limit));
  if (space_before == 0 || ::getrlimit(RLIMIT_AS, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_max, space_before + kMoreMemory);
  static_cast<void>(::setrlimit(RLIMIT_AS, &limit));
}

[[noreturn]] void be_child(int pipe, rlim_t space_before, const std::function<void()>& action) {
  restrict_child(space_before);
  static_cast<void>(H5open());
  say(pipe, {&kReady, 1});
  std::string last(1, kDone);
  try {
    action();
  } catch (const UsageError& error) {
    last = kUsage + std::string(error.what());
  } catch (const std::bad_alloc&) {
    last = std::string(1, kData);
  } catch (const std::exception& error) {
    last = kData + std::string(error.what());
  }
  say(pipe, std::string_view(last).substr(0, kLongestMessage));
  ::_exit(0);
}

/// What the kernel says of a child.
struct Look {
  bool sleeps = false;
  bool in_lock = false;
  std::uint64_t ticks = 0;  // of processor time used
};

Look look_at(pid_t child) {
  Look look;
  const std::string folder = fmt::format("/proc/{}/", child);
  std::ifstream stat(folder + "stat");
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));  // a name may hold anything
  std::string field;
  fields >> field;  // the third: state
  look.sleeps = field == "S";
  std::uint64_t user = 0, system = 0;
  for (int skipped = 4; skipped < 14; ++skipped) fields >> field;
  fields >> user >> system;
  look.ticks = user + system;
  std::ifstream(folder + "wchan") >> field;
  look.in_lock = look.sleeps && field.find("futex") != std::string::npos;
  return look;
}

/// Reads all that the child says. False: it waits for a lock that nobody will release. fork copies locks, but not the
/// threads that hold them; the C library sees to its own, Open MPI's memory hooks and HDF5 do not to theirs.
bool hear_out(int pipe, pid_t child, std::string& words) {
  std::chrono::milliseconds idle{0};
  Look last;
  char buffer[4096];
  for (;;) {
    pollfd wanted{pipe, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(kLookEvery.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      const Look look = look_at(child);
      const bool waits = look.sleeps && look.ticks == last.ticks;
      idle = waits ? idle + kLookEvery : std::chrono::milliseconds{0};
      last = look;
      if (idle >= (look.in_lock ? kLongestLock : kLongestSleep)) return false;
      continue;
    }
    const ssize_t got = ::read(pipe, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    words.append(buffer, static_cast<std::size_t>(got));
  }
}

/// The child's end, as waitpid tells it; 0 where somebody else has waited for it.
int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return status;
}

void judge(const std::string& subject, const std::string& words, int status) {
  if (words.size() > 1 && words[1] == kUsage) throw UsageError(words.substr(2));
  if (words.size() > 2 && words[1] == kData) throw DataError(words.substr(2));
  if (words.size() == 2 && words[1] == kDone) return;
  const std::string how = words.size() == 2                                         ? "asks for too much memory"
                          : WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU      ? "does not come to an end"
                          : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL      ? "was killed (memory?)"
                          : WIFSIGNALED(status)                                     ? fmt::format("crashes with signal {}", WTERMSIG(status))
                                                                                    : "crashes";
  throw DataError(fmt::format("{}: damaged: the HDF5 library {} when it reads this. Copy or make the file again", subject, how));
}

}  // namespace

void rehearse(const std::string& subject, const std::function<void()>& action) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    int ends[2];
    const rlim_t space_before = address_space();
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    const FileDescriptor out(ends[0]);
    FileDescriptor in(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return;
    if (child == 0) be_child(in.get(), space_before, action);
    in = FileDescriptor();  // the old one moves into the temporary, which closes it
    std::string words;
    if (hear_out(out.get(), child, words)) return judge(subject, words, wait_for(child));
    ::kill(child, SIGKILL);
    wait_for(child);
  }
}

}  // namespace convoy
