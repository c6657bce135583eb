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

Deaths find_deaths(const std::vector<RingReading>& rings);

}  // namespace convoy
