#include "launch/train/stragglers.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace convoy {
namespace {

constexpr std::int64_t kAlignEvery = 1000;  // steps: clocks drift by some 10 us a second

}  // namespace

Stragglers::Stragglers(Communicator& world, ClockOffset::Clock clock) : world_(world), offset_(world, std::move(clock)) {
  world_.at("alignment of the clocks", -1);
  offset_.measure();
}

const StragglerReport& Stragglers::record(std::int64_t step) {
  RankTimes mine = times_.take();
  if (aligned_at_ < 0) aligned_at_ = step - mine.steps;
  if (step - aligned_at_ >= kAlignEvery) {
    world_.at("alignment of the clocks", step);
    offset_.measure();
    aligned_at_ = step;
  }
  for (std::int64_t i = 0; i < std::min<std::int64_t>(mine.steps, kArrivals); ++i) {
    std::int64_t& arrival = mine.arrivals[static_cast<std::size_t>(i)];
    arrival = offset_.aligned(arrival);
  }
  std::vector<RankTimes> all(static_cast<std::size_t>(world_.size()));
  world_.at("the ranks' step times", step);
  world_.all_gather(&mine, sizeof mine, all.data());
  if (world_.rank() == 0) report_ = judge_.judge(all);
  return report_;
}

}  // namespace convoy
