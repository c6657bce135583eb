#pragma once
// What one rank knows of all: the newest beat of each, for how long it has been silent since, and how its process is.
// No clock and no process of its own: who holds it says how time passes.
#include <string>
#include <vector>

#include "distributed/watch/beat.h"

namespace convoy {

/// Where a rank runs.
struct Place {
  std::string host;
  std::string machine;  // equal: the same kernel and the same process ids
  int pid = 0;
};

/// "rank 2 waits for rank 1 in gradient bucket 3 of step 9, since 4 s".
struct Wait {
  int waiter = 0, peer = 0;
  std::string what;
  std::int64_t step = -1;
  double seconds = 0;
};

class Roll {
 public:
  explicit Roll(std::vector<Place> places);

  struct Entry {
    Beat beat;
    bool heard = false;  // any beat yet
    double silence = 0;  // seconds since the newest came, or since the start
    double beat_age = 0; // seconds since what `beat` tells; less than the silence where it was found elsewhere
    ProcessState process = ProcessState::unknown;
    double process_age = 0;  // seconds since that was seen
  };

  int size() const { return static_cast<int>(places_.size()); }
  const Place& place(int rank) const { return places_[static_cast<std::size_t>(rank)]; }
  const Entry& of(int rank) const { return entries_[static_cast<std::size_t>(rank)]; }
  /// The rank whose process `rank` looks at: the next one on the same machine, cyclically; -1: it is alone there.
  int neighbour_of(int rank) const;

  void heard(int rank, Beat beat);
  /// A silent rank's beat, found late: it is `seconds_ago` old. Silence goes on. Only newer ones count.
  void recalled(int rank, Beat beat, double seconds_ago);
  void saw(int rank, ProcessState state);
  void pass(double seconds);

  /// Every thread that waits for another rank, at its newest beat, with the time since added; the longest first.
  std::vector<Wait> waits() const;

 private:
  std::vector<Place> places_;
  std::vector<Entry> entries_;
};

}  // namespace convoy
