#pragma once
// What the operating system says of another process on this host.

namespace convoy {

enum class ProcessState : char {
  unknown = '?',  // on another host, or /proc does not tell
  runs = 'R',     // or sleeps
  blocked = 'D',  // waits for a disk or a network file system, or so
  stopped = 'T',
  traced = 't',  // stopped by a debugger
  gone = 'X',    // has ended; also when its parent does not know yet
};

/// One process, from construction on: never another one to which its number was given later.
class WatchedProcess {
 public:
  explicit WatchedProcess(int pid);
  ~WatchedProcess();
  WatchedProcess(const WatchedProcess&) = delete;
  WatchedProcess& operator=(const WatchedProcess&) = delete;

  /// Reads /proc, which never waits for a disk. Any thread.
  ProcessState state() const;
  /// Ends it (SIGKILL) if it is stopped. Any thread.
  void kill_if_stopped() const;

 private:
  int stat_ = -1;   // descriptor of /proc/PID/stat
  int pidfd_ = -1;
};

}  // namespace convoy
