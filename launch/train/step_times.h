#pragma once
// Where a rank's time goes: sums over the steps of an interval, and when it came to each of the last reductions.
#include <array>
#include <cstdint>
#include <type_traits>

namespace convoy {

/// Seconds of one step of one rank, or sums of them.
struct StepParts {
  double input = 0;          // waiting for samples
  double compute = 0;        // micro-batches and update
  double communication = 0;  // exposed: waiting for the reduction
  double checkpoint = 0;     // stall by saving
};

inline constexpr int kArrivals = 64;  // at most so many of an interval's last steps

/// One rank's interval, as it travels: plain bytes.
struct RankTimes {
  StepParts parts;                                // sums over the interval
  double seconds = 0;                             // the interval, what fits none of the parts included
  std::int64_t steps = 0;
  std::array<std::int64_t, kArrivals> arrivals{}; // [min(steps, kArrivals)] ns, oldest first, on the clock of rank 0
};
static_assert(std::is_trivially_copyable_v<RankTimes>);

class StepTimes {
 public:
  /// A step is over. `seconds`: from its begin to its end. `arrival_ns`: when this rank's last bucket was handed in (own
  /// clock).
  void add(const StepParts& parts, double seconds, std::int64_t arrival_ns);
  /// Between steps: counts as checkpoint, and towards the interval's seconds.
  void add_checkpoint(double seconds);
  /// The interval so far, on this rank's own clock; a new one begins.
  RankTimes take();

 private:
  RankTimes sums_;  // arrivals: a ring, place = step % kArrivals
};

}  // namespace convoy
