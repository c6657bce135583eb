#pragma once
// Training steps on a simulated cluster, in each of the modes of design, section 5.
#include <cstdint>
#include <vector>

#include "distributed/simulation/exchange_tasks.h"

namespace convoy::simulation {

/// What one run of the micro-batch program, and the rest of a step, take on one rank.
struct StepModel {
  /// Seconds from one bucket's completion to the next one's: segments[b] ends with bucket b; what follows the last bucket is
  /// one more.
  std::vector<double> segments;
  std::vector<Bucket> buckets;
  int virtual_workers = 1;
  int lanes = 1;               // threads of a rank, each with its share of the rank's micro-batches
  double update_seconds = 0;   // the update program, and what else a step takes once
  double jitter = 0;           // relative standard deviation of a rank's computing time from step to step
  std::uint64_t seed = 1;
};

struct StepForecast {
  double seconds = 0;          // of a step, from one update to the next
  double compute = 0;          // of the slowest rank, without waiting
  double exposed = 0;          // of the rest: communication that computing does not hide, and waiting for the slowest
  double intra_bytes = 0;      // sent inside a node by one rank, a step
  double inter_bytes = 0;      // sent by one node's NICs
  double busiest_nic = 0;      // share of the step for which the busiest NIC sends, or receives
  double busiest_port = 0;     // likewise of a rank's port inside the node
};

/// Synchronous steps: buckets are exchanged one after the other, each as soon as the last local micro-batch has completed it.
/// Mean over the steps after the first of `steps`.
StepForecast simulate_sync(const Machine& machine, const Layout& layout, const StepModel& model, Algorithm algorithm,
                           int steps = 3);

/// Local SGD: `local_steps` updates without communication, then one all-reduce of the parameters, which nothing hides. The
/// forecast is of one local step.
StepForecast simulate_local(const Machine& machine, const Layout& layout, const StepModel& model, Algorithm algorithm,
                            int local_steps, double parameter_elements);

}  // namespace convoy::simulation
