#pragma once
// Cluster files: what `convoy plan` is told of the machines that a run is to have. INI, SI units (bytes, seconds):
//
//   [node]
//   device = cuda                     # cuda: a GPU for each rank; cpu: ranks share the cores
//   ranks = 8                         # of a node: GPUs; on cpus at most so many ranks
//   cores = 2                         # cpu: of a node
//   nics = 8
//   memory-bytes = 80e9               # of a GPU, or of a node
//   [link.intra]                      # between two ranks of a node; link.inter: of one NIC
//   bytes-per-second = 370e9
//   latency-seconds = 3e-6
//   overhead-seconds = 1e-6           # for which a message of any size holds the port
//   [compute]                         # of a GPU, or of a core
//   flops-per-second = 650e12         # of large matrix products; two a multiply-add
//   bytes-per-second = 2.9e12         # of large arrays
//   op-seconds = 2e-6                 # that a kernel takes at least
//   units = 132                       # processors of a GPU: products are cut into tiles of 128 x 128, each on one of them
//   add-bytes-per-second = 1e12       # gradient bytes added to another array
//   jitter = 0.01                     # relative standard deviation of a rank's computing time from step to step
//   [measured.resnet-50]              # any number; the name is a model's, or `model` says it
//   micro-batch = 400
//   samples-per-second = 7162         # of one rank; or micro-batch-seconds, of one run of the micro-batch program
//   [storage]
//   write-bytes-per-second = 2e9      # of checkpoints, written by rank 0
//   copy-bytes-per-second = 10e9      # of the copy for which training stands still
//   [failures]
//   node-hours = 50000                # mean time between failures of one node
//   restart-seconds = 120
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "distributed/simulation/machine.h"

namespace convoy {

/// The speed of one network on one rank.
struct MeasuredNetwork {
  std::string name;                // of its section, after "measured."
  std::string model;
  std::string precision = "fp32";
  double micro_batch = 0;          // samples
  double samples_per_second = 0;   // one of the two is 0
  double micro_batch_seconds = 0;  // with all cores of a node at work
  double step_seconds = 0;         // what a step takes once: update and all that is not a micro-batch
  double multiply_adds = 0;        // of the micro-batch; 0: not told
  double seconds() const { return micro_batch_seconds > 0 ? micro_batch_seconds : micro_batch / samples_per_second; }
};

struct Cluster {
  std::string device = "cuda";
  double ranks = 1, cores = 0, nics = 1, memory_bytes = 0;
  simulation::Link intra, inter;
  double flops_per_second = 0, bytes_per_second = 0, op_seconds = 0, units = 0, add_bytes_per_second = 0, jitter = 0;
  double write_bytes_per_second = 0, copy_bytes_per_second = 0;
  double node_hours = 0, restart_seconds = 60;
  std::vector<MeasuredNetwork> measured;

  bool is_host() const { return device == "cpu"; }
};

/// Throws UsageError "FILE:LINE: ..." for an unknown section or key (with the nearest known one), a value that is no number or
/// not above 0 (not below 0 where 0 means something), and for what is missing.
Cluster parse_cluster(std::string_view text, const std::string& file);
Cluster read_cluster(const std::filesystem::path& file);

/// parse_cluster of it gives the same. `comment`: lines above it, without "# ".
std::string cluster_text(const Cluster& cluster, const std::string& comment);

/// The measured network of this model and precision whose micro-batch is nearest; null: none.
const MeasuredNetwork* find_measured(const Cluster& cluster, std::string_view model, std::string_view precision,
                                     double micro_batch);

}  // namespace convoy
