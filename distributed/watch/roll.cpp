#include "distributed/watch/roll.h"

#include <algorithm>

namespace convoy {

Roll::Roll(std::vector<Place> places) : places_(std::move(places)), entries_(places_.size()) {}

int Roll::neighbour_of(int rank) const {
  for (int distance = 1; distance < size(); ++distance)
    if (const int other = (rank + distance) % size(); place(other).machine == place(rank).machine) return other;
  return -1;
}

void Roll::heard(int rank, Beat beat) {
  Entry& entry = entries_.at(static_cast<std::size_t>(rank));
  if (const int neighbour = neighbour_of(rank); neighbour >= 0 && !beat.leaving) saw(neighbour, beat.neighbour);
  entry.beat = std::move(beat);
  entry.heard = true;
  entry.silence = entry.beat_age = 0;
}

void Roll::recalled(int rank, Beat beat, double seconds_ago) {
  Entry& entry = entries_.at(static_cast<std::size_t>(rank));
  if (entry.heard && (seconds_ago > entry.beat_age || entry.beat.leaving)) return;
  entry.beat = std::move(beat);
  entry.heard = true;
  entry.beat_age = seconds_ago;
}

void Roll::saw(int rank, ProcessState state) {
  Entry& entry = entries_.at(static_cast<std::size_t>(rank));
  if (entry.process == ProcessState::gone) return;
  entry.process = state;
  entry.process_age = 0;
}

void Roll::pass(double seconds) {
  for (Entry& entry : entries_) {
    entry.silence += seconds;
    entry.beat_age += seconds;
    entry.process_age += seconds;
  }
}

std::vector<Wait> Roll::waits() const {
  std::vector<Wait> all;
  for (int rank = 0; rank < size(); ++rank) {
    if (of(rank).beat.leaving) continue;
    for (const LaneBeat& lane : of(rank).beat.lanes)
      if (lane.activity == trace::Activity::peer && lane.peer >= 0 && lane.peer < size() && lane.peer != rank)
        all.push_back({rank, lane.peer, lane.what, lane.step, lane.seconds + of(rank).beat_age});
  }
  std::stable_sort(all.begin(), all.end(), [](const Wait& a, const Wait& b) { return a.seconds > b.seconds; });
  return all;
}

}  // namespace convoy
