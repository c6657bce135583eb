#include "distributed/watch/words.h"

#include <fmt/format.h>

#include <algorithm>

namespace convoy {
namespace {

std::string seconds_text(double seconds) { return fmt::format("{:.{}f} s", seconds, seconds < 9.95 ? 1 : 0); }

/// "rank 1", "ranks 0, 2", "ranks 0-6, 9".
std::string ranks_text(std::vector<int> ranks) {
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t first = 0, last = 0; first < ranks.size(); first = last + 1) {
    for (last = first; last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1;) ++last;
    if (last < first + 2) last = first;  // two neighbours are no range
    if (first > 0) text += ", ";
    text += first == last ? fmt::format("{}", ranks[first]) : fmt::format("{}-{}", ranks[first], ranks[last]);
  }
  return text;
}

std::string who_is(const Roll& roll, int rank) {
  return fmt::format("rank {} (host {}, pid {})", rank, roll.place(rank).host, roll.place(rank).pid);
}

std::string site_text(const std::string& what, std::int64_t step) {
  const std::string name = what.empty() ? "a message" : what;
  return step < 0 || name.find("step") != name.npos ? name : fmt::format("{} of step {}", name, step);
}

/// The longest-running of those that `fits`.
template <typename Fits>
const LaneBeat* longest(const Beat& beat, const Fits& fits) {
  const LaneBeat* found = nullptr;
  for (const LaneBeat& lane : beat.lanes)
    if (fits(lane) && (!found || lane.seconds > found->seconds)) found = &lane;
  return found;
}

/// The thread that the step waits for: one that the step goes through, if it works; else any that works; else one that
/// waits for a rank; else any.
const LaneBeat* telling_lane(const Beat& beat) {
  const auto leader = [](const LaneBeat& lane) { return works(lane) && leads(lane); };
  const auto waiting = [](const LaneBeat& lane) { return lane.activity == trace::Activity::peer; };
  if (const LaneBeat* found = longest(beat, leader)) return found;
  if (const LaneBeat* found = longest(beat, works)) return found;
  if (const LaneBeat* found = longest(beat, waiting)) return found;
  return beat.lanes.empty() ? nullptr : &beat.lanes.front();
}

/// `age`: seconds to add to what the beat tells.
std::string lane_text(const LaneBeat& lane, double age) {
  const std::string since = seconds_text(lane.seconds + age);
  if (lane.activity == trace::Activity::peer)
    return fmt::format("waits for rank {} in {}, since {}", lane.peer, site_text(lane.what, lane.step), since);
  const std::string what = lane.what.empty() ? "" : ": " + lane.what;
  return fmt::format("{}{} for {} ({})", name_of(lane.activity), what, since, lane.thread);
}

/// Who waits behind those that wait for `rank`.
std::vector<int> those_behind(const Roll& roll, int rank) {
  const std::vector<Wait> waits = roll.waits();
  std::vector<int> chain{rank};
  for (std::size_t i = 0; i < chain.size(); ++i)
    for (const Wait& wait : waits)
      if (wait.peer == chain[i] && std::find(chain.begin(), chain.end(), wait.waiter) == chain.end())
        chain.push_back(wait.waiter);
  std::erase_if(chain, [&](int member) {
    return member == rank || std::any_of(waits.begin(), waits.end(), [&](const Wait& wait) {
             return wait.waiter == member && wait.peer == rank;
           });
  });
  return chain;
}

std::string what_happened(const Roll& roll, const Suspicion& suspicion) {
  const Roll::Entry& entry = roll.of(suspicion.rank);
  const std::string silence = fmt::format("no beat for {}", seconds_text(entry.silence));
  switch (suspicion.fault) {
    case Fault::died:
      return "was killed or crashed: its process is gone";
    case Fault::stopped:
      return entry.process == ProcessState::traced ? "is held by a debugger: " + silence : "is stopped (SIGSTOP): " + silence;
    case Fault::cut_off:
      return fmt::format("gives no sign of life, nor does anything that sees its process on its host: {}", silence);
    case Fault::mute:
      return fmt::format("lives but does not answer{}: {}",
                         entry.process == ProcessState::blocked ? ", held up by a disk or a network file system" : "",
                         silence);
  }
  return silence;
}

/// "rank 1 waits for rank 2 in ..., since ...; rank 2 waits for rank 1 in ..."
std::string round_text(const Roll& roll, const std::vector<int>& round) {
  std::string text = fmt::format("{} wait for each other", ranks_text(round));
  std::string separator = ": ";
  for (const Wait& wait : roll.waits()) {
    const auto inside = [&](int rank) { return std::find(round.begin(), round.end(), rank) != round.end(); };
    if (!inside(wait.waiter) || !inside(wait.peer)) continue;
    text += fmt::format("{}rank {} for rank {} in {}, since {}", separator, wait.waiter, wait.peer,
                        site_text(wait.what, wait.step), seconds_text(wait.seconds));
    separator = "; ";
  }
  return text + "; a mismatch: they do not agree on what comes next";
}

std::string beat_text(const Beat& beat, double age) {
  std::string text = beat.step < 0 ? "before the first step" : fmt::format("step {}", beat.step);
  const LaneBeat* const telling = telling_lane(beat);
  if (!telling) return text;
  text += ", " + lane_text(*telling, age);
  // What the step waits for may be the work of a thread behind it: the loader's file, the writer's.
  const LaneBeat* const behind = longest(beat, [&](const LaneBeat& lane) {
    return works(*telling) && leads(*telling) && !leads(lane) && lane.activity == telling->activity;
  });
  return behind ? text + ", " + lane_text(*behind, age) : text;
}

std::string stall_text(const Roll& roll, const Stall& stall) {
  if (stall.roots.size() != 1) return round_text(roll, stall.roots);
  const int rank = stall.roots.front();
  return fmt::format("{} is late: {}; {}", who_is(roll, rank), what_it_does(roll, rank), who_waits(roll, rank));
}

}  // namespace

std::string what_it_does(const Roll& roll, int rank) {
  const Roll::Entry& entry = roll.of(rank);
  if (!entry.heard) return "nothing was heard of it";
  if (entry.beat.leaving) return "it has come to its end of the run";
  std::string text = beat_text(entry.beat, entry.beat_age);
  if (entry.process == ProcessState::blocked) text += ", held up by a disk or a network file system";
  return text;
}

std::string what_it_did(const Roll& roll, int rank) {
  const Roll::Entry& entry = roll.of(rank);
  if (!entry.heard) return "nothing was heard of it before";
  return fmt::format("{} ago it was {}{}", seconds_text(entry.beat_age), entry.beat.step < 0 ? "" : "in ",
                     beat_text(entry.beat, 0));
}

std::string who_waits(const Roll& roll, int rank) {
  struct Group {
    std::string site;
    std::vector<int> ranks;
    double seconds;
  };
  constexpr std::size_t kGroups = 4;  // one line must stay one line
  std::vector<Group> groups;
  for (const Wait& wait : roll.waits()) {
    if (wait.peer != rank) continue;
    const std::string site = site_text(wait.what, wait.step);
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return group.site == site; });
    if (same != groups.end())
      same->ranks.push_back(wait.waiter);
    else if (groups.size() < kGroups)
      groups.push_back({site, {wait.waiter}, wait.seconds});  // the longest wait comes first
  }
  if (groups.empty()) return "nobody waits for it yet";
  std::string text;
  for (const Group& group : groups)
    text += fmt::format("{}{} wait{} for it in {}, since {}", text.empty() ? "" : "; ", ranks_text(group.ranks),
                        group.ranks.size() == 1 ? "s" : "", group.site, seconds_text(group.seconds));
  if (const std::vector<int> behind = those_behind(roll, rank); !behind.empty())
    text += fmt::format("; behind them {}", ranks_text(behind));
  return text;
}

std::string verdict_text(const Roll& roll, const Suspicion& suspicion) {
  return fmt::format("{} {}; {}; {}", who_is(roll, suspicion.rank), what_happened(roll, suspicion),
                     what_it_did(roll, suspicion.rank), who_waits(roll, suspicion.rank));
}

std::string late_text(const Roll& roll, const std::vector<Stall>& stalls, std::chrono::milliseconds deadline) {
  std::string text;
  for (const Stall& stall : stalls) text += stall_text(roll, stall) + "; ";
  return text + fmt::format("the run goes on; it ends when a wait reaches {:.4g} s (--timeout)",
                            std::chrono::duration<double>(deadline).count());
}

std::string explanation(const Roll& roll, const WatchOptions& options, int& rank) {
  const std::vector<int> roots = find_root(roll, options, rank);
  if (roots.size() != 1) return round_text(roll, roots);
  std::string text;
  if (roots.front() != rank) text = fmt::format("rank {} in turn waits, in the end for rank {}; ", rank, roots.front());
  rank = roots.front();
  WatchOptions at_once = options;
  at_once.silent = 2 * options.beat;
  if (const auto suspicion = find_suspicion(roll, at_once, {rank})) return text + verdict_text(roll, *suspicion);
  return text + fmt::format("{}: {}", who_is(roll, rank), what_it_does(roll, rank));
}

}  // namespace convoy
