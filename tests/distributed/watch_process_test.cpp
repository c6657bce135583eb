// What /proc says of a process that sleeps, stops and dies.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "distributed/watch/process.h"

namespace convoy {
namespace {

/// A child that sleeps until it is killed.
class Sleeper {
 public:
  Sleeper() : pid_(::fork()) {
    if (pid_ != 0) return;
    for (;;) ::pause();
  }
  ~Sleeper() { end(); }
  int pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  /// Ends and buries it. Its status as of waitpid.
  int end() {
    if (pid_ <= 0) return 0;
    ::kill(pid_, SIGKILL);
    return bury();
  }
  int bury() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  int pid_;
};

bool becomes(const WatchedProcess& process, ProcessState state) {
  for (int i = 0; i < 1000 && process.state() != state; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return process.state() == state;
}

TEST(WatchedProcess, IsSeenToStopAndToGoOn) {
  const Sleeper sleeper;
  const WatchedProcess process(sleeper.pid());
  EXPECT_TRUE(becomes(process, ProcessState::runs));
  sleeper.signal(SIGSTOP);
  EXPECT_TRUE(becomes(process, ProcessState::stopped));
  sleeper.signal(SIGCONT);
  EXPECT_TRUE(becomes(process, ProcessState::runs));
}

TEST(WatchedProcess, IsGoneAsAZombieAndAfterItsBurial) {
  Sleeper sleeper;
  const WatchedProcess process(sleeper.pid());
  sleeper.signal(SIGKILL);
  EXPECT_TRUE(becomes(process, ProcessState::gone));
  sleeper.bury();
  EXPECT_EQ(process.state(), ProcessState::gone);
}

TEST(WatchedProcess, IsKilledOnlyIfItIsStopped) {
  Sleeper sleeper;
  const WatchedProcess process(sleeper.pid());
  EXPECT_TRUE(becomes(process, ProcessState::runs));
  process.kill_if_stopped();
  EXPECT_EQ(process.state(), ProcessState::runs);
  sleeper.signal(SIGSTOP);
  EXPECT_TRUE(becomes(process, ProcessState::stopped));
  process.kill_if_stopped();
  EXPECT_TRUE(becomes(process, ProcessState::gone));
  EXPECT_EQ(WTERMSIG(sleeper.bury()), SIGKILL);
}

}  // namespace
}  // namespace convoy
