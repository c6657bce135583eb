#pragma once
// Who died first, by the flight recorder's files.
#include <string>
#include <vector>

#include "io/ring_file.h"

namespace convoy {

/// A rank that did not leave in order counts as dead when its file was last touched. mpirun ends the other ranks about a
/// second after the first; copies come every 20 ms.
struct Deaths {
  std::vector<int> first;           // died together, before all others; empty: nobody died, or there are no files
  bool all = false;                 // these are all ranks
  std::vector<std::string> hosts;   // of the first
  bool whole_host = false;          // the first are all ranks of their host, and there are other hosts
  std::int64_t last_seen_ns = 0;    // of the first, since 1970
  double others_later = 0;          // seconds from the first to the last death
  std::vector<int> finished;        // left in order
};

/// Files that end within this of each other tell of one event. Where a rank that failed spoke: fifteen copying intervals, for
/// a helper thread waits its turn on a busy machine. Where nobody spoke, mpirun ended the others, about a second after the
/// first; or mpirun itself died, and then all end within less.
inline constexpr std::int64_t kTogetherNs = 15 * kRingIntervalNs, kTogetherInSilenceNs = 45 * kRingIntervalNs;

Deaths find_deaths(const std::vector<RingReading>& rings, std::int64_t together_ns);

}  // namespace convoy
