#pragma once
// The processes of this run. World comes first and goes last; it owns MPI_Init and MPI_Finalize, and the
// channel for bad news, which travels apart from the data: a helper thread on every rank listens for it.
#include <functional>
#include <memory>
#include <string>

#include "distributed/communicator.h"

namespace convoy {

/// What a failing rank tells the others.
struct BadNews {
  int rank = 0;        // who is to blame
  int status = 1;      // exit status (design: section 8)
  std::string reason;  // the message
  int reporter = 0;    // who says so
};

/// Whom a failure is due to, where that is not the rank that tells it.
struct Blame {
  int rank = -1;                  // -1: the rank that tells it
  bool rank_zero_answers = true;  // false: rank 0 is known to be dead or stopped, so whoever tells takes its place
};

class World {
 public:
  /// Starts MPI (MPI_THREAD_MULTIPLE; LibraryError if it does not grant that). A process without mpirun is a
  /// world of one. Once per process.
  World(int* argc, char*** argv);
  /// Waits for all ranks, then ends MPI. If a rank does not come by the deadline, or an exception is passing,
  /// this is fail(1, ...). Communicators split from all() must be gone by then.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Communicator& all();
  int rank();
  int size();
  static std::string library_version();  // "Open MPI v4.1.4"; also before a World is made
  std::string host() const;

  /// Called once in the whole world when any rank has failed, to write status.json and to print the message: on
  /// rank 0 (on the failing rank if rank 0 does not answer within 2 s), on a helper thread or in fail(). The
  /// first failure wins; later ones are not told. It may take 2 s, must not use MPI, and refers only to what
  /// outlives the World.
  void on_bad_news(std::function<void(const BadNews&)> handler);
  /// This rank cannot go on: tells every rank, lets rank 0 run its handler, and ends all processes with the
  /// status of the first failure within seconds (4 at most). Any thread. Does not return.
  [[noreturn]] void fail(int status, const std::string& reason, const Blame& blame = {});
  /// Ends this process with what it has printed, but without meeting the others, of whom some are gone and would never come.
  /// For the end of a run that went on without them.
  [[noreturn]] void end_alone(int status);
  /// Called once on the rank that runs the handler, before it: may add to the reason what is known of the rank to blame,
  /// and name another one. Like the handler: any thread, no MPI, quick.
  void explain_bad_news(std::function<void(BadNews&)> explain);
  /// Called when bad news end this process, as the last thing. Any thread, no MPI, at once.
  void at_bad_end(std::function<void()> last_act);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy
