#pragma once
// `convoy plan --probe`: the constants of this machine, measured in seconds.
#include "distributed/world.h"
#include "io/dataset.h"
#include "launch/config.h"
#include "launch/plan/cluster_file.h"

namespace convoy {

/// Collective. Every rank runs steps of the run's own network and data, each for itself but all at once, as they will share
/// cores and memory; then gradients are exchanged, arrays added, a checkpoint is written. The same on every rank. Links are
/// measured between ranks of a host, and of two hosts, where there are such ranks; a GPU's links are for the user to fill in.
/// Throws UsageError where the run cannot be.
Cluster probe(const Config& config, World& world, const Dataset& data);

}  // namespace convoy
