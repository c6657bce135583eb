#pragma once
// Which device a rank computes on.
#include <optional>
#include <string>
#include <vector>

#include "core/backend/cuda_module.h"
#include "distributed/communicator.h"
#include "launch/config.h"

namespace convoy {

/// Where a rank sits: its host, and the GPUs that it may use there, by their ids (CudaDevices::ids).
struct Seat {
  std::string host;
  std::vector<std::string> gpus;
};

/// All ranks of a run; empty: a process alone.
struct Seats {
  std::vector<Seat> all;  // by rank
  int rank = 0;           // this one
};

/// Collective. GPUs are looked for only where --device may want one.
Seats find_seats(const Config& config, Communicator& all, const std::string& host);

/// Which of its GPUs each rank of a host takes, by ordinal: in the order of ranks, the one that fewest have taken, the first
/// among equals. So ranks that see the same GPUs take one after the other, and ranks to which a scheduler shows one GPU each
/// take that. Throws UsageError where two would share one and `share` is false.
std::vector<int> take_gpus(const std::vector<Seat>& seats, bool share);

/// What is computed, as far as a device must be able to.
struct Computation {
  std::string precision = "fp32";  // fp32, tf32, bf16, fp16
  bool of_trained_model = false;   // with tf32 and no GPU: fp32, and rank 0 says so
};
/// By the command's own --precision, where it has one.
Computation computation_of(const Config& config);

/// What --device and --share-gpu choose; nothing: the cpu. With --device=auto rank 0 says on stderr why there is no GPU: in
/// train, and where one is half there (CudaDevices). Throws UsageError where cuda, tf32 or an option for GPUs
/// (--share-gpu, --distributed.transport=nccl) is asked for and there is none.
std::optional<CudaOptions> choose_device(const Config& config, const Seats& seats, const Computation& computation);
/// The same, of what was found.
std::optional<CudaOptions> choose_device(const Config& config, const Seats& seats, const Computation& computation,
                                         const CudaDevices& found);

}  // namespace convoy
