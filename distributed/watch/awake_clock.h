#pragma once
// Time in which this process ran. A judge that was itself stopped, or whose machine was suspended, must not take its own
// absence for the others' silence.
#include <cstdint>
#include <deque>

namespace convoy {

class AwakeClock {
 public:
  /// tick() is called far more often than every `longest_gap` seconds while the process runs.
  AwakeClock(std::int64_t now_ns, double longest_gap) : last_(now_ns), longest_gap_(longest_gap) {}
  /// Seconds since the last tick, at most the longest gap: the rest was an absence.
  double tick(std::int64_t now_ns);
  /// Seconds between `since_ns` and the last tick, without the absences.
  double seconds_since(std::int64_t since_ns) const;

 private:
  struct Absence {
    std::int64_t end;
    double seconds;
  };
  std::int64_t last_;
  double longest_gap_;
  std::deque<Absence> absences_;  // the newest few
};

}  // namespace convoy
