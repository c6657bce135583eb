#include "distributed/simulation/checkpoint_interval.h"

#include <algorithm>
#include <cmath>

namespace convoy::simulation {

double young_interval(double save_seconds, double mean_between) { return std::sqrt(2 * save_seconds * mean_between); }

double daly_interval(double save_seconds, double mean_between) {
  if (save_seconds >= 2 * mean_between) return mean_between;
  const double ratio = save_seconds / (2 * mean_between);
  return young_interval(save_seconds, mean_between) * (1 + std::sqrt(ratio) / 3 + ratio / 9) - save_seconds;
}

double failure_factor(const FailureModel& model, double interval) {
  const double mean = model.mean_between;
  return mean * std::exp(model.restart_seconds / mean) * std::expm1((interval + model.save_seconds) / mean) / interval;
}

SavePlan plan_saves(const FailureModel& model) {
  const double interval = std::max(daly_interval(model.save_seconds, model.mean_between), model.write_seconds);
  return {interval, failure_factor(model, interval)};
}

}  // namespace convoy::simulation
