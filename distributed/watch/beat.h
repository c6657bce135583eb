#pragma once
// What a rank tells once a second: that it lives, what its threads do, and how its neighbour is.
#include <cstdint>
#include <string>
#include <vector>

#include "core/trace/trace.h"
#include "distributed/watch/awake_clock.h"
#include "distributed/watch/process.h"

namespace convoy {

/// What one thread does, and for how long by its own rank's clock.
struct LaneBeat {
  std::string thread;
  trace::Activity activity = trace::Activity::idle;
  std::string what;
  int peer = -1;           // world rank that is waited for
  std::int64_t step = -1;  // in which it began
  double seconds = 0;
};

struct Beat {
  bool leaving = false;  // this rank has come to its end in order: it will be silent from now on
  std::int64_t step = -1;
  double step_seconds = 0;
  ProcessState neighbour = ProcessState::unknown;
  std::vector<LaneBeat> lanes;
};

inline constexpr std::size_t kLanesPerBeat = 12;

/// Does something of its own, rather than wait for another rank or have nothing to do.
bool works(const LaneBeat& lane);
/// A thread that the step goes through ("main", "worker N"); others work for these.
bool leads(const LaneBeat& lane);

/// Of `lanes`, the most telling first, at most kLanesPerBeat: threads that wait for a rank, then those that work, then
/// the idle ones; among equals the longest first.
std::vector<LaneBeat> beats_of(const std::vector<trace::Lane>& lanes, const AwakeClock& clock);

/// As bytes, at most about 1.3 kB, and back. DataError for bytes that are no beat.
std::string pack(const Beat& beat);
Beat unpack(const std::string& bytes);

}  // namespace convoy
