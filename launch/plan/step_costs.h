#pragma once
// How long the programs of a run take on a machine: an op's time is the longer of its arithmetic and its traffic, and no less
// than a kernel's start (Williams, Waterman & Patterson 2009, "Roofline"); where the network was measured, op times are scaled
// so that they add up to that.
#include <vector>

#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "launch/plan/cluster_file.h"

namespace convoy {

struct ProgramCosts {
  double multiply_adds = 0;
  double work = 0;               // seconds of all ops by arithmetic or traffic
  double starts = 0;             // seconds of kernels' starts
  std::vector<double> segments;  // seconds until each bucket is complete, from the one before; then the rest
  double seconds() const { return work + starts; }
};

/// Of the micro-batch program.
ProgramCosts costs_of(const TrainingGraph& training, const Cluster& cluster);
/// Of the update program; no segments.
ProgramCosts costs_of(const UpdateGraph& update, const Cluster& cluster);

/// Seconds of one run of the micro-batch program: by the roofline, or by a measurement of the same network with another
/// micro-batch (whose roofline is `measured_costs`): starts stay, work is scaled.
double scaled_seconds(const ProgramCosts& costs, const ProgramCosts& measured_costs, double measured_seconds);

}  // namespace convoy
