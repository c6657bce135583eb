#pragma once
// What a rank does, or did last, as one sentence out of the records of its threads; and whom waiting ranks wait for.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/ring_file.h"

namespace convoy {

struct RankStanding {
  int rank = 0;
  trace::Record record;     // of the thread that the rank's progress hangs on
  std::string thread;
  std::string doing;        // "computing conv1 conv", "waiting for rank 2 (gradient bucket 3)"
  double for_seconds = 0;   // since when, at the last copy
  int waits_for = -1;       // world rank; -1: none
  std::string checkpoint;   // "writing step-00000350.h5", whichever thread does it; empty: none
};

/// Of the threads that compute, the one that has been busy with one thing for longest; where they all wait, the one that
/// they wait for: communication, then helpers. Loader threads count where somebody waits for samples.
RankStanding standing_of(const RingReading& ring);

/// "0", "0 and 3", "0, 1 and 3", "0 to 62 and 64"
std::string list_of_ranks(std::vector<int> ranks);

/// Who is waited for in the end: chains of waiting are followed.
struct WaitingRoot {
  std::vector<int> roots;    // one rank; several: they wait for each other in a ring
  std::vector<int> waiting;  // those that wait for it, directly or not
  double seconds = 0;        // for the longest of these waits
};
/// The root that most ranks wait for, of waits of at least `least_seconds`; none: nobody waits that long.
std::optional<WaitingRoot> find_waiting_root(const std::vector<RankStanding>& ranks, double least_seconds);

}  // namespace convoy
