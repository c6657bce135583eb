#pragma once
// How often to save, and what failures cost.
namespace convoy::simulation {

struct FailureModel {
  double save_seconds = 0;      // for which training stands still at a save
  double write_seconds = 0;     // until a save that was begun is complete, in the background: no interval is shorter
  double restart_seconds = 0;   // from a failure until training goes on
  double mean_between = 0;      // seconds between two failures of the whole job
};

struct SavePlan {
  double interval = 0;          // seconds of training between two saves
  double factor = 1;            // wall time over time of training: saves, lost work and restarts included
};

/// sqrt(2 save M) (Young 1974, "A first order approximation to the optimum checkpoint interval").
double young_interval(double save_seconds, double mean_between);
/// sqrt(2 save M) (1 + sqrt(save / 2 M) / 3 + save / 18 M) - save, or M where save >= 2 M (Daly 2006, "A higher order estimate
/// of the optimum checkpoint interval for restart dumps", equation 37).
double daly_interval(double save_seconds, double mean_between);
/// Wall time over training time with failures at random, exponentially distributed (Daly 2006, equation 20):
/// M e^(restart / M) (e^((interval + save) / M) - 1) / interval.
double failure_factor(const FailureModel& model, double interval);
/// Daly's interval, no shorter than a write takes.
SavePlan plan_saves(const FailureModel& model);

}  // namespace convoy::simulation
