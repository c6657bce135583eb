#pragma once
// Which of the ranks that this one depends on are dead: their process is gone, or nothing was heard of them for long. Time counts
// only while the own process runs.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/watch/awake_clock.h"
#include "distributed/watch/process.h"

namespace convoy {

/// Where a rank's process is.
struct ProcessPlace {
  int pid = 0;
  std::string host;
};
/// Collective.
std::vector<ProcessPlace> gather_places(Communicator& all, const std::string& host);

class Liveness {
 public:
  /// Watches `ranks`. `host`: the own one.
  Liveness(const std::vector<ProcessPlace>& places, const std::vector<int>& ranks, const std::string& host, double silent_seconds);

  void heard(int rank);
  /// It is known to have ended.
  void forget(int rank) { watched_.erase(rank); }
  struct Death {
    int rank = 0;
    std::string how;  // "its process is gone", "nothing was heard of it for 10 s"
  };
  /// Whoever is found dead now; each once. Cheap enough for every few milliseconds.
  std::optional<Death> look();

 private:
  struct Watched {
    std::unique_ptr<WatchedProcess> process;  // on the own host
    std::int64_t heard_ns = 0;
  };
  const double silent_seconds_;
  AwakeClock clock_;
  std::int64_t looked_ns_ = 0;
  std::map<int, Watched> watched_;
};

}  // namespace convoy
