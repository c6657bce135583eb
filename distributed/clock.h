#pragma once
// Clocks of different hosts, aligned: CLOCK_MONOTONIC begins somewhere else on each, and what one rank notes says
// nothing to another until the offset between their clocks is known.
#include <cstdint>
#include <functional>

#include "distributed/communicator.h"

namespace convoy {

/// CLOCK_MONOTONIC in ns.
std::int64_t monotonic_ns();

/// This rank's clock against rank 0's. Belongs to the communicator's thread.
class ClockOffset {
 public:
  using Clock = std::function<std::int64_t()>;  // ns
  /// Nothing is known before measure(): offset 0. `clock`: a test hands in its own.
  explicit ClockOffset(Communicator& communicator, Clock clock = monotonic_ns);

  /// Collective. A rank asks its parent in a binomial tree for the time, several rounds, and takes the round that came
  /// back soonest: the answer was given somewhere within it. Levels of the tree work in parallel: ceil(log2 R) times
  /// 2 * kRounds messages of 16 bytes, one after another.
  void measure();
  static constexpr int kRounds = 12;

  /// What rank 0's clock showed when this rank's showed `own`; right within error_ns() at the time of measure().
  std::int64_t aligned(std::int64_t own) const { return own - offset_; }
  std::int64_t offset_ns() const { return offset_; }
  /// Half the round trip, summed over the levels of the tree; 0 on rank 0.
  std::int64_t error_ns() const { return error_; }

 private:
  Communicator& communicator_;
  Clock clock_;
  std::int64_t offset_ = 0, error_ = 0;

  void answer(int child);
  void ask(int parent);
};

}  // namespace convoy
