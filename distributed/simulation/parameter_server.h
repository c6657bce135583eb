#pragma once
// Asynchronous training through parameter servers (Dean et al. 2012, "Large scale distributed deep networks", section 4.1):
// every server owns an equal slice of the parameters; a worker pulls all slices, computes a gradient and pushes each server
// its slice, at its own pace; a server applies pushes one after the other.
#include <cstdint>
#include <string>
#include <vector>

#include "distributed/simulation/machine.h"

namespace convoy::simulation {

struct ServerModel {
  int workers = 1, servers = 1;          // ranks: the first ones serve, the others work; where `colocated`, all do both
  bool colocated = false;
  /// A worker pulls while it computes the gradient before, once the push before that one is applied. Else it waits until its
  /// last push is applied and the parameters are back.
  bool pulls_ahead = false;
  double parameter_bytes = 0;            // pulled, and gradients pushed
  double gradient_bytes = 0;
  double worker_seconds = 0;             // from parameters to gradient
  double apply_bytes_per_second = 1;     // gradient bytes that one server applies
  double jitter = 0;
  std::uint64_t seed = 1;
};

struct ServerForecast {
  double pushes_per_second = 0;          // of whole gradients, by all workers together
  double seconds = 0;                    // from one push of a worker to its next
  double staleness = 0;                  // mean updates between a gradient's parameters and its application
  std::vector<double> staleness_shares;  // [s]: of the pushes, with staleness s
  double worker_busy = 0, server_busy = 0, nic_busy = 0;  // shares of the time
  std::string bottleneck;                // "workers", "servers" or "network"
};

/// Mean over the second half of so many rounds of every worker.
ServerForecast simulate_servers(const Machine& machine, const ServerModel& model, int rounds = 20);

}  // namespace convoy::simulation
