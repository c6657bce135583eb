#pragma once
// Which rank holds up the others, and why: from all ranks' times of an interval. Pure arithmetic; stragglers.h collects
// the times.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "launch/train/step_times.h"

namespace convoy {

/// Milliseconds a step, means over an interval.
struct RankSplit {
  int rank = 0;
  double input = 0, compute = 0, communication = 0, checkpoint = 0, other = 0;
  double late = 0;  // at the reduction, after the first rank
};

enum class SlowCause { input, compute, checkpoint, host };  // host: late, though no part of its own says why

std::string_view name_of(SlowCause cause);

struct SlowRank {
  int rank = 0;
  SlowCause cause = SlowCause::host;
  double excess = 0;       // ms a step: of that part over the median of the other ranks; host: of the arrival
  double late = 0;         // ms a step after the median of the others
  double others_wait = 0;  // ms a step that the others wait in the reduction beyond its own wait (median); >= 0
};

/// What rank 0 knows after a record.
struct StragglerReport {
  std::vector<RankSplit> ranks;   // by rank
  double step = 0;                // ms, the longest of the ranks' means
  std::vector<SlowRank> slow;     // for long, the slowest first
  std::vector<std::string> news;  // who has become slow, and who keeps up again, since the last record: sentences

  /// ,"ranks":[{"rank":0,"input":ms,...}] and, if any is slow, ,"slow":{"rank":1,"cause":"compute","excess_ms":50.2,...}
  /// as members of a JSON object, to go before the closing brace of a record: beginning with a comma. Above 32 ranks:
  /// "ranks" holds the 8 latest, and "quantiles" [least, median, 90 %, most] of each part.
  std::string json_members() const;
  /// "slow: rank 1, compute +50 ms a step", or empty: for the progress line.
  std::string line() const;
};

/// Names a rank after two records in a row in which
///   - it came later than the median of the other ranks by more than a limit: 10 % of the step, at least 3 ms;
///   - the others waited in the reduction longer than it did, by half of that (where ranks share too few cores, each
///     comes late in turn, and all wait alike);
///   - and lateness was the rule: in most steps, or explained by its input or checkpoints, which may be long and rare.
/// Forgets it after two in a row in which it was late by less than half the limit, or the others waited for less than a
/// quarter.
class SlowRanks {
 public:
  /// `times[r]`: of rank r, arrivals aligned. Throws Error if ranks counted different steps.
  StragglerReport judge(std::span<const RankTimes> times);
  /// For the run's end: "rank 1 was slow in 12 of 40 records, most often by compute"; empty: nobody was.
  std::string summary() const;

 private:
  struct History {
    int above = 0, below = 0;  // records in a row
    bool slow = false;
    SlowRank newest;           // of the last record above
    std::array<int, 4> records{};  // in which it was slow, by cause
  };
  std::vector<History> histories_;
  int records_ = 0;

  void note(History& history, const SlowRank& now, bool above, bool below, StragglerReport& report);
};

}  // namespace convoy
