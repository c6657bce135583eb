#pragma once
// A rank played by ring_driver, from the test's side.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "io/ring_file.h"

extern char** environ;

namespace convoy {

class DrivenRank {
 public:
  DrivenRank(const std::filesystem::path& watch, int rank, int size, const std::string& mode)
      : file_(watch / ring_name(rank)) {
    std::string words[] = {CONVOY_RING_DRIVER, watch.string(), std::to_string(rank), std::to_string(size), mode};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
    if (posix_spawn(&pid_, words[0].c_str(), nullptr, nullptr, arguments, environ) != 0)
      throw std::runtime_error("cannot start " + words[0]);
  }
  DrivenRank(const DrivenRank&) = delete;
  DrivenRank& operator=(const DrivenRank&) = delete;
  ~DrivenRank() { kill_now(); }

  int pid() const { return pid_; }
  /// Its file says what it does.
  bool is_seen() const {
    try {
      return !read_ring(file_).lanes.empty();
    } catch (const std::exception&) {
      return false;  // not yet
    }
  }
  /// Returns its exit status, or minus the signal that ended it.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int kill_now() {
    if (pid_ == 0) return 0;
    ::kill(pid_, SIGKILL);
    return wait();
  }

 private:
  std::filesystem::path file_;
  pid_t pid_ = 0;
};

template <typename Condition>
bool comes_true(Condition condition, std::chrono::seconds limit = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace convoy
