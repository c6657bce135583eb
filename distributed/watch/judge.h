#pragma once
// Who is to blame, given what is known of all ranks. Pure functions and one small memory; no clock, no process.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "distributed/watch/roll.h"

namespace convoy {

struct WatchOptions {
  std::chrono::milliseconds beat{1000};
  std::chrono::milliseconds silent{10000};  // no beat for so long: the rank is dead, stopped, or cut off
  std::chrono::milliseconds late{30000};    // a wait for one rank that lasts so long is told, though the rank lives
};

enum class Fault {
  died,     // its process is gone, and it did not say that it leaves
  stopped,  // by a signal or a debugger
  cut_off,  // no beat, and nobody on its machine who sees its process
  mute,     // no beat for three times as long, though its process is seen to live
};

struct Suspicion {
  int rank = 0;
  Fault fault = Fault::died;
  bool operator==(const Suspicion&) const = default;
};

/// The first of `suspects` that died, else the first that has been silent for too long. `patience_seconds`: added to
/// the time of silence.
std::optional<Suspicion> find_suspicion(const Roll& roll, const WatchOptions& options, const std::vector<int>& suspects,
                                        double patience_seconds = 0);

/// Whom `rank`'s wait is due to: the chain of waits, followed to the rank that waits for nobody (one rank), or round
/// (several: they wait for each other). Waits of less than two beats are not followed, for they may be over, nor those of
/// ranks that are silent.
std::vector<int> find_root(const Roll& roll, const WatchOptions& options, int rank);

/// A stall: ranks wait for too long.
struct Stall {
  std::vector<int> roots;  // one rank, or several that wait for each other
  double seconds = 0;      // of the longest wait; of the root's own, where nobody waits for it
};

/// Stalls of `late` and longer, the longest first, each root once. Where no rank waits for another: those that have
/// waited so long for input or for a checkpoint to be written.
std::vector<Stall> find_stalls(const Roll& roll, const WatchOptions& options);

/// Which stalls are news: the first time, whenever the time has doubled, and when another rank becomes the cause.
class StallNews {
 public:
  explicit StallNews(const WatchOptions& options);
  /// Whether these, found now, are to be told.
  bool worth_telling(const std::vector<Stall>& stalls);

 private:
  double late_;
  double next_;           // told again when the longest wait has reached this
  double told_at_ = 0;    // length of the longest wait when it was last told
  std::vector<int> told_; // its roots
};

}  // namespace convoy
