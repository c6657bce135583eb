#pragma once
// Collects all ranks' times at each record of metrics.jsonl and says who holds up the others.
#include <string>

#include "distributed/clock.h"
#include "launch/train/slow_ranks.h"
#include "launch/train/step_times.h"

namespace convoy {

class Stragglers {
 public:
  /// Collective (aligns the clocks). `world` outlives this object and is used by the calling thread alone. `clock`: that
  /// of the arrivals; a test hands in its own.
  explicit Stragglers(Communicator& world, ClockOffset::Clock clock = monotonic_ns);

  /// This rank's steps and stalls; no communication.
  StepTimes& times() { return times_; }

  /// Collective: at each record, on every rank after the same step. One all_gather of sizeof(RankTimes); the clocks are
  /// aligned anew every 1,000 steps. The report is filled on rank 0 alone.
  const StragglerReport& record(std::int64_t step);
  const StragglerReport& report() const { return report_; }
  /// Rank 0, at the run's end: SlowRanks::summary.
  std::string summary() const { return judge_.summary(); }

 private:
  Communicator& world_;
  ClockOffset offset_;
  StepTimes times_;
  SlowRanks judge_;
  StragglerReport report_;
  std::int64_t aligned_at_ = -1;  // step
};

}  // namespace convoy
