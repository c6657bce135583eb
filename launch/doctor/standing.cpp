#include "launch/doctor/standing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace convoy {
namespace {

using trace::Activity;
using trace::Lane;

bool is_loader(const Lane& lane) { return lane.thread.starts_with("loader"); }
bool is_communication(const Lane& lane) { return lane.thread == "communication"; }
/// main, the workers, and threads without a name.
bool computes(const Lane& lane) {
  return lane.thread == "main" || lane.thread.starts_with("worker") || lane.thread.starts_with("thread ");
}
bool is_busy(const Lane& lane) {
  const Activity activity = lane.now().activity;
  return activity != Activity::idle && activity != Activity::peer && activity != Activity::end;
}
bool waits(const Lane& lane) { return lane.now().activity == Activity::peer; }

/// Of the lanes that fit, the one whose record is the oldest; null: none fits.
template <typename Fits>
const Lane* longest(const std::vector<Lane>& lanes, Fits fits) {
  const Lane* found = nullptr;
  for (const Lane& lane : lanes)
    if (fits(lane) && (!found || lane.now().clock < found->now().clock)) found = &lane;
  return found;
}

const Lane* telling_lane(const std::vector<Lane>& lanes) {
  if (const Lane* lane = longest(lanes, [](const Lane& l) { return computes(l) && is_busy(l); })) return lane;
  if (const Lane* lane = longest(lanes, [](const Lane& l) { return computes(l) && waits(l); })) return lane;
  if (const Lane* lane = longest(lanes, [](const Lane& l) { return is_communication(l) && (is_busy(l) || waits(l)); }))
    return lane;
  if (const Lane* lane = longest(lanes, [](const Lane& l) { return !is_loader(l) && (is_busy(l) || waits(l)); })) return lane;
  if (const Lane* lane = longest(lanes, [](const Lane& l) { return l.thread == "main"; })) return lane;
  return longest(lanes, [](const Lane&) { return true; });
}

std::string words_for(const trace::Record& record) {
  const std::string& what = record.what;
  switch (record.activity) {
    case Activity::compute: return "computing " + what;
    case Activity::exchange: return "exchanging " + what;
    case Activity::update: return "updating: " + what;
    case Activity::evaluate: return "validating: " + what;
    case Activity::start: return "starting: " + what;
    case Activity::end: return what.empty() ? "at its end" : what;
    case Activity::idle: return what.empty() ? "between two things" : what;
    case Activity::checkpoint: return what;
    case Activity::peer: return fmt::format("waiting for rank {} ({})", record.peer, what);
    case Activity::input: {
      const bool is_sentence = what.starts_with("waiting") || what.starts_with("reading") || what.starts_with("staging");
      return is_sentence ? what : "reading " + what;
    }
  }
  return what;
}

/// "writing" and "syncing" step-00000350.h5, or "writing step 350".
std::string checkpoint_of(const std::vector<Lane>& lanes) {
  for (const Lane& lane : lanes) {
    const std::string& what = lane.now().what;
    const bool writes = what.starts_with("writing step") || what.starts_with("syncing step");
    if (lane.now().activity == Activity::checkpoint && writes) return what;
  }
  return "";
}

}  // namespace

RankStanding standing_of(const RingReading& ring) {
  RankStanding standing;
  standing.rank = ring.identity.rank;
  const Lane* lane = telling_lane(ring.lanes);
  if (!lane) {
    standing.doing = "nothing yet";
    return standing;
  }
  standing.record = lane->now();
  standing.thread = lane->thread;
  standing.doing = words_for(lane->now());
  standing.for_seconds = 1e-9 * static_cast<double>(std::max<std::int64_t>(0, ring.last_copy_clock - lane->now().clock));
  if (waits(*lane)) standing.waits_for = lane->now().peer;
  if (lane->now().activity == Activity::input && lane->now().what.starts_with("waiting"))
    if (const Lane* loader = longest(ring.lanes, [](const Lane& l) { return is_loader(l) && is_busy(l); }))
      standing.doing += fmt::format(" ({} is {})", loader->thread, words_for(loader->now()));
  standing.checkpoint = checkpoint_of(ring.lanes);
  return standing;
}

std::string list_of_ranks(std::vector<int> ranks) {
  std::sort(ranks.begin(), ranks.end());
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t end = i;
    while (end + 1 < ranks.size() && ranks[end + 1] == ranks[end] + 1) ++end;
    if (end - i >= 2) {
      parts.push_back(fmt::format("{} to {}", ranks[i], ranks[end]));
      i = end + 1;
    } else {
      parts.push_back(std::to_string(ranks[i++]));
    }
  }
  if (parts.size() < 2) return fmt::format("{}", fmt::join(parts, ""));
  const std::string last = parts.back();
  parts.pop_back();
  return fmt::format("{} and {}", fmt::join(parts, ", "), last);
}

std::optional<WaitingRoot> find_waiting_root(const std::vector<RankStanding>& ranks, double least_seconds) {
  std::map<int, int> next;  // who waits long for whom
  std::map<int, double> seconds;
  for (const RankStanding& rank : ranks) {
    if (rank.waits_for < 0 || rank.waits_for == rank.rank || rank.for_seconds < least_seconds) continue;
    next[rank.rank] = rank.waits_for;
    seconds[rank.rank] = rank.for_seconds;
  }
  std::map<int, WaitingRoot> roots;  // by the lowest rank of each
  for (const auto& [rank, peer] : next) {
    std::vector<int> way{rank};
    int at = peer;
    while (next.contains(at) && std::find(way.begin(), way.end(), at) == way.end()) {
      way.push_back(at);
      at = next[at];
    }
    const auto ring = std::find(way.begin(), way.end(), at);  // not end: they wait for each other
    std::vector<int> members = ring == way.end() ? std::vector<int>{at} : std::vector<int>(ring, way.end());
    std::sort(members.begin(), members.end());
    WaitingRoot& root = roots[members.front()];
    root.roots = members;
    root.waiting.push_back(rank);
    root.seconds = std::max(root.seconds, seconds[rank]);
  }
  const auto most = std::max_element(roots.begin(), roots.end(), [](const auto& a, const auto& b) {
    return a.second.waiting.size() < b.second.waiting.size();
  });
  if (most == roots.end()) return std::nullopt;
  return most->second;
}

}  // namespace convoy
