#include "launch/doctor/deaths.h"

#include <algorithm>
#include <set>

namespace convoy {
Deaths find_deaths(const std::vector<RingReading>& rings, std::int64_t together_ns) {
  Deaths deaths;
  std::vector<const RingReading*> dead;
  for (const RingReading& ring : rings) {
    if (ring.finished) deaths.finished.push_back(ring.identity.rank);
    else dead.push_back(&ring);
  }
  if (dead.empty()) return deaths;
  std::stable_sort(dead.begin(), dead.end(), [](auto* a, auto* b) { return a->last_copy_ns < b->last_copy_ns; });
  deaths.last_seen_ns = dead.front()->last_copy_ns;
  deaths.others_later = 1e-9 * static_cast<double>(dead.back()->last_copy_ns - deaths.last_seen_ns);
  // A chain of ends, each close to the one before: the gap that follows tells the first from the others.
  std::set<std::string> hosts, others;
  std::int64_t end = deaths.last_seen_ns;
  for (const RingReading* ring : dead) {
    if (ring->last_copy_ns - end > together_ns) break;
    end = ring->last_copy_ns;
    deaths.first.push_back(ring->identity.rank);
    hosts.insert(ring->identity.host);
  }
  std::sort(deaths.first.begin(), deaths.first.end());
  deaths.all = deaths.first.size() == rings.size();
  for (const RingReading& ring : rings)
    if (!std::binary_search(deaths.first.begin(), deaths.first.end(), ring.identity.rank)) others.insert(ring.identity.host);
  deaths.whole_host = !others.empty() && std::none_of(hosts.begin(), hosts.end(), [&](auto& h) { return others.contains(h); });
  deaths.hosts.assign(hosts.begin(), hosts.end());
  return deaths;
}

}  // namespace convoy
