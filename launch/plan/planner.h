#pragma once
// What a run will take on a cluster, by simulation of its own programs and buckets.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "distributed/simulation/checkpoint_interval.h"
#include "distributed/simulation/parameter_server.h"
#include "distributed/simulation/step.h"
#include "io/dataset.h"
#include "launch/config.h"
#include "launch/plan/cluster_file.h"
#include "launch/plan/memory.h"
#include "launch/plan/step_costs.h"

namespace convoy {

/// One way to run.
struct ModePlan {
  std::string mode;                // "sync", "sync fast", "sync hierarchical", "async", "local"
  double step_seconds = 0;         // in which `batch` samples are done; async: as many pushes as there are workers
  double samples_per_second = 0;
  double efficiency = 0;           // rate over that of the same ranks without communication and waiting
  double exposed_seconds = 0;
  double intra_bytes = 0, inter_bytes = 0;  // a step: sent inside the node by a rank, by a node's NICs
  double nic_busy = 0;
  double hours = 0;                // of the whole run, with saves and failures where the cluster file tells of them
};

struct BucketPlan {
  std::size_t bytes = 0;
  double step_seconds = 0;         // mode sync
};

struct ServerPlan {
  int workers = 0, servers = 0;
  simulation::ServerForecast forecast;
};

struct RankPlan {
  int ranks = 1, nodes = 1, per_node = 1, threads = 1, micro_batches = 1, virtual_workers = 1, buckets = 0;
  std::int64_t batch = 0, micro_batch = 0, steps = 0;
  double multiply_adds = 0;        // of a micro-batch
  MemoryOfRank memory;
  // Where a cluster is given:
  double micro_batch_seconds = 0, update_seconds = 0, compute_seconds = 0;
  bool measured = false;           // the cluster file tells of this network
  std::vector<ModePlan> modes;
  std::vector<BucketPlan> bucket_sizes;
  std::optional<ServerPlan> servers;
  std::optional<simulation::SavePlan> saves;
  double checkpoint_bytes = 0;
};

/// The data set's place where there is none: `samples` pictures of the model's extents, or of --image's.
DatasetInfo assumed_data(const Config& config);

class Planner {
 public:
  /// `config`: of plan, checked. `cluster`: null: memory alone; outlives this object. Throws UsageError as training would.
  Planner(const Config& config, const DatasetInfo& data, const Cluster* cluster);
  ~Planner();

  /// Throws UsageError: more ranks than micro-batches, a cluster without links.
  RankPlan plan(int ranks) const;
  /// Of any rank of a plan, whose own `memory` is that of the rank with most micro-batches.
  MemoryOfRank memory_of(int rank, const RankPlan& plan) const;
  /// Of one rank: for --programs.
  const Program& micro_batch_program() const;
  const Program& update_program() const;
  const RunSpec& spec() const;
  const TrainingGraph& training() const;
  const UpdateGraph& update() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy
