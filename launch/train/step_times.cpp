#include "launch/train/step_times.h"

#include <algorithm>
#include <utility>

namespace convoy {

void StepTimes::add(const StepParts& parts, double seconds, std::int64_t arrival_ns) {
  sums_.parts.input += parts.input;
  sums_.parts.compute += parts.compute;
  sums_.parts.communication += parts.communication;
  sums_.parts.checkpoint += parts.checkpoint;
  sums_.seconds += seconds;
  sums_.arrivals[static_cast<std::size_t>(sums_.steps++ % kArrivals)] = arrival_ns;
}

void StepTimes::add_checkpoint(double seconds) {
  sums_.parts.checkpoint += seconds;
  sums_.seconds += seconds;
}

RankTimes StepTimes::take() {
  RankTimes taken = std::exchange(sums_, {});
  if (taken.steps > kArrivals)  // the oldest is where the next would have gone
    std::rotate(taken.arrivals.begin(), taken.arrivals.begin() + taken.steps % kArrivals, taken.arrivals.end());
  return taken;
}

}  // namespace convoy
