#pragma once
// The channel for bad news: a communicator and a thread of its own, apart from the data, so that a rank that
// computes or waits in the middle of an exchange hears that another cannot go on.
//
//   a failing rank -> rank 0: report (status, blame, reason)    the first report wins, later ones are dropped
//   rank 0: runs the handler, then -> every rank: end (status)
//   every rank: ends with _exit(status)
//
// All end by _exit with one status, because that is what Open MPI 4.1.4's mpirun returns within 0.4 s and,
// given -q, without a word; MPI_Abort never returns under --enable-recovery, and prints more. A rank that
// cannot run (stopped) is killed by mpirun about a second after the first exit. If rank 0 does not answer, the
// failing rank runs the handler itself and ends; at once where it is known that rank 0 cannot.
#include <mpi.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "distributed/world.h"

namespace convoy {

class BadNewsChannel {
 public:
  /// Takes over `owned` (a duplicate of the world's communicator) and starts to listen.
  explicit BadNewsChannel(MPI_Comm owned);
  /// Stops to listen, on this rank alone.
  ~BadNewsChannel();
  BadNewsChannel(const BadNewsChannel&) = delete;
  BadNewsChannel& operator=(const BadNewsChannel&) = delete;

  void on_bad_news(std::function<void(const BadNews&)> handler);
  void explain_bad_news(std::function<void(BadNews&)> explain);
  void at_bad_end(std::function<void()> last_act);
  [[noreturn]] void fail(int status, const std::string& reason, const Blame& blame);
  /// Ends this process: what is printed gets out, but nothing else is cleaned up, for other threads still run.
  [[noreturn]] void end(int status);

 private:
  void listen();
  std::optional<BadNews> hear();
  void report(const BadNews& news);
  /// Ends the world, if nobody is about to already.
  void lead(const BadNews& news);
  void run_handler(BadNews news);
  void send(const std::string& bytes, int tag, int first, int last, std::chrono::milliseconds patience);

  MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
  std::atomic<bool> leading_ = false;
  std::atomic<bool> closing_ = false;
  std::mutex mutex_;
  std::function<void(const BadNews&)> handler_;  // guarded by mutex_, as are the others
  std::function<void(BadNews&)> explain_;
  std::function<void()> last_act_;
  std::thread listener_;
};

}  // namespace convoy
