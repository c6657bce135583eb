#pragma once
// The processes of this run. World comes first and goes last; it owns MPI_Init and MPI_Finalize, and the channel for
// bad news, which travels apart from the data: a helper thread on every rank listens for it.
#include <functional>
#include <memory>
#include <string>

#include "distributed/communicator.h"

namespace convoy {

/// What a failing rank tells the others.
struct BadNews {
  int rank = 0;                    // who failed
  int status = 1;                  // exit status (design: section 8)
  std::string reason;              // the message
};

class World {
 public:
  /// Starts MPI (MPI_THREAD_MULTIPLE). A process without mpirun is a world of one.
  World(int* argc, char*** argv);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Communicator& all();
  int rank();
  int size();
  std::string library_version() const;
  std::string host() const;

  /// Called once, on rank 0, when any rank has failed (to write status.json); from the helper thread or fail().
  void on_bad_news(std::function<void(const BadNews&)> handler);
  /// This rank cannot go on: tells every rank, lets rank 0 run its handler, and ends all processes with `status`
  /// within seconds. The message was printed by the caller. Does not return.
  [[noreturn]] void fail(int status, const std::string& reason);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy
