#include "distributed/watch/judge.h"

#include <algorithm>
#include <functional>

namespace convoy {
namespace {

double seconds_of(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

constexpr double kFreshBeats = 3;  // what was seen longer ago no longer counts
constexpr double kLinkBeats = 2;   // beats of two ranks are up to one apart
constexpr double kMuteTimes = 3;

bool is_silent(const Roll::Entry& entry, const WatchOptions& options) {
  return entry.silence > kFreshBeats * seconds_of(options.beat);
}

bool holds(const std::vector<int>& ranks, int rank) { return std::find(ranks.begin(), ranks.end(), rank) != ranks.end(); }

/// What a silence of `seconds` beyond the limit means; nothing yet where the process is seen to live.
std::optional<Fault> fault_of(const Roll::Entry& entry, const WatchOptions& options, double silence) {
  const double limit = seconds_of(options.silent);
  if (silence < limit) return std::nullopt;
  if (entry.process == ProcessState::stopped || entry.process == ProcessState::traced) return Fault::stopped;
  const bool is_seen = entry.process != ProcessState::unknown &&
                       entry.process_age < kFreshBeats * seconds_of(options.beat);
  if (!is_seen) return Fault::cut_off;
  // Its helper thread gets no time, or the kernel holds it: a machine that is too busy must not end a run.
  if (silence >= kMuteTimes * limit) return Fault::mute;
  return std::nullopt;
}

/// Depth first along the waits; the longest wait of each rank first.
class Chain {
 public:
  Chain(const Roll& roll, const WatchOptions& options) : waits_(roll.waits()) {
    const double shortest = kLinkBeats * seconds_of(options.beat);
    std::erase_if(waits_, [&](const Wait& wait) {
      const Roll::Entry& entry = roll.of(wait.waiter);
      return wait.seconds < shortest || entry.process == ProcessState::gone || is_silent(entry, options);
    });
  }

  /// A rank that waits for nobody; nothing if all ways lead round.
  std::optional<int> end_of(int rank) {
    path_.push_back(rank);
    bool waits = false;
    for (const Wait& wait : waits_) {
      if (wait.waiter != rank) continue;
      waits = true;
      if (const auto at = std::find(path_.begin(), path_.end(), wait.peer); at != path_.end()) {
        if (round_.empty()) round_.assign(at, path_.end());
        continue;
      }
      if (holds(visited_, wait.peer)) continue;
      if (const auto end = end_of(wait.peer)) return end;
    }
    path_.pop_back();
    visited_.push_back(rank);
    if (waits) return std::nullopt;
    return rank;
  }
  std::vector<int> round() const { return round_; }

 private:
  std::vector<Wait> waits_;
  std::vector<int> path_, visited_, round_;
};

void add_stall(std::vector<Stall>& stalls, std::vector<int> roots, double seconds) {
  std::sort(roots.begin(), roots.end());
  for (const Stall& known : stalls)
    if (known.roots == roots) return;
  stalls.push_back({std::move(roots), seconds});
}

}  // namespace

std::optional<Suspicion> find_suspicion(const Roll& roll, const WatchOptions& options, const std::vector<int>& suspects,
                                        double patience_seconds) {
  const auto may_be_silent = [&](int rank) { return roll.of(rank).heard && roll.of(rank).beat.leaving; };
  for (const int rank : suspects)
    if (roll.of(rank).process == ProcessState::gone && !may_be_silent(rank)) return Suspicion{rank, Fault::died};
  for (const int rank : suspects) {
    if (may_be_silent(rank)) continue;
    if (const auto fault = fault_of(roll.of(rank), options, roll.of(rank).silence - patience_seconds))
      return Suspicion{rank, *fault};
  }
  return std::nullopt;
}

std::vector<int> find_root(const Roll& roll, const WatchOptions& options, int rank) {
  Chain chain(roll, options);
  if (const auto end = chain.end_of(rank)) return {*end};
  return chain.round();
}

std::vector<Stall> find_stalls(const Roll& roll, const WatchOptions& options) {
  const double late = seconds_of(options.late);
  std::vector<Stall> stalls;
  for (const Wait& wait : roll.waits()) {
    if (wait.seconds < late) break;
    if (is_silent(roll.of(wait.waiter), options)) continue;  // it may wait no longer
    add_stall(stalls, find_root(roll, options, wait.peer), wait.seconds);
  }
  if (!stalls.empty()) return stalls;
  for (int rank = 0; rank < roll.size(); ++rank) {
    if (is_silent(roll.of(rank), options)) continue;
    for (const LaneBeat& lane : roll.of(rank).beat.lanes) {
      const bool on_files = lane.activity == trace::Activity::input || lane.activity == trace::Activity::checkpoint;
      const double seconds = lane.seconds + roll.of(rank).beat_age;
      if (on_files && leads(lane) && seconds >= late) add_stall(stalls, {rank}, seconds);
    }
  }
  return stalls;
}

StallNews::StallNews(const WatchOptions& options) : late_(seconds_of(options.late)), next_(late_) {}

bool StallNews::worth_telling(const std::vector<Stall>& stalls) {
  if (stalls.empty()) {
    next_ = late_;
    told_.clear();
    return false;
  }
  double longest = 0;
  std::vector<int> roots;
  for (const Stall& stall : stalls) {
    longest = std::max(longest, stall.seconds);
    roots.insert(roots.end(), stall.roots.begin(), stall.roots.end());
  }
  std::sort(roots.begin(), roots.end());
  const bool is_another = !told_.empty() && roots != told_ && longest >= told_at_ + late_;
  if (longest < next_ && !is_another) return false;
  while (next_ <= longest) next_ *= 2;
  told_at_ = longest;
  told_ = std::move(roots);
  return true;
}

}  // namespace convoy
