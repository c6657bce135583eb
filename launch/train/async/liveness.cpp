#include "launch/train/async/liveness.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/trace/trace.h"

namespace convoy {
namespace {

constexpr double kLongestGap = 2;                    // s between two looks of a process that runs
constexpr std::int64_t kBetweenLooks = 100'000'000;  // ns

}  // namespace

std::vector<ProcessPlace> gather_places(Communicator& all, const std::string& host) {
  std::vector<ProcessPlace> places;
  for (const std::string& text : all.all_gather_strings(fmt::format("{} {}", getpid(), host))) {
    const std::size_t blank = text.find(' ');
    places.push_back({std::stoi(text.substr(0, blank)), text.substr(blank + 1)});
  }
  return places;
}

Liveness::Liveness(const std::vector<ProcessPlace>& places, const std::vector<int>& ranks, const std::string& host,
                   double silent_seconds)
    : silent_seconds_(silent_seconds), clock_(trace::now(), kLongestGap), looked_ns_(trace::now()) {
  for (const int rank : ranks) {
    const ProcessPlace& place = places.at(static_cast<std::size_t>(rank));
    if (place.pid == getpid() && place.host == host) continue;
    Watched& watched = watched_[rank];
    watched.heard_ns = looked_ns_;
    if (place.host == host) watched.process = std::make_unique<WatchedProcess>(place.pid);
  }
}

void Liveness::heard(int rank) {
  if (const auto found = watched_.find(rank); found != watched_.end()) found->second.heard_ns = trace::now();
}

std::optional<Liveness::Death> Liveness::look() {
  const std::int64_t now = trace::now();
  if (now - looked_ns_ < kBetweenLooks) return std::nullopt;
  looked_ns_ = now;
  clock_.tick(now);
  for (const auto& [rank, watched] : watched_) {
    Death death{rank, ""};
    const ProcessState state = watched.process ? watched.process->state() : ProcessState::unknown;
    if (state == ProcessState::gone)
      death.how = "its process is gone";
    else if (clock_.seconds_since(watched.heard_ns) > silent_seconds_)
      death.how = fmt::format("{} for {:g} s", state == ProcessState::stopped || state == ProcessState::traced
                                                   ? "it has been stopped" : "nothing was heard of it", silent_seconds_);
    if (death.how.empty()) continue;
    if (watched.process) watched.process->kill_if_stopped();  // or mpirun would wait for it for ever
    watched_.erase(death.rank);
    return death;
  }
  return std::nullopt;
}

}  // namespace convoy
