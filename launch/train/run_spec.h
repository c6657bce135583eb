#pragma once
// A run as typed values: what a Config says, checked as a whole before anything starts.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/models/training.h"
#include "core/optim/schedule.h"
#include "core/optim/update_program.h"
#include "distributed/device_transport.h"
#include "io/checkpoint.h"
#include "io/dataset.h"
#include "io/loader.h"
#include "launch/config.h"
#include "launch/train/devices.h"
#include "launch/train/modes.h"

namespace convoy {

/// DatasetInfo::samples of a model that came from elsewhere (checkpoint import): it can be used, not trained on.
inline constexpr std::int64_t kSamplesUnknown = -1;

struct Seeds {
  std::uint64_t init = 0, order = 0, augment = 0, dropout = 0;
};

/// The part of a run that does not depend on the number of ranks.
struct RunSpec {
  Task task;                       // model, classes, micro-batch, prepare
  AugmentOptions augment;
  std::string order;
  std::int64_t batch = 0;          // B
  int virtual_workers = 1;         // V
  std::int64_t samples = 0;        // N
  std::int64_t epoch_steps = 0;    // ceil(E N / B): the length that schedules see
  std::int64_t last_step = 0;      // where this run ends
  Schedule schedule;
  OptimizerOptions optimizer;
  Seeds seeds;
  std::size_t bucket_bytes = 0;
  SumRounding gradient_sums = SumRounding::none;  // --reduction-dtype
  int threads_per_micro_batch = 1;
  Mode mode = Mode::sync;
  LocalRule local;                 // Mode::local
};

DatasetOptions dataset_options(const Config& config, Split split);
/// The same of other data than data.path's.
DatasetOptions dataset_options(const Config& config, Split split, const std::filesystem::path& path);

/// The validation split: stored, or held out of train by data.validation; null where there is neither.
std::unique_ptr<Dataset> open_validation(const Config& config);

/// Throws UsageError naming the option, what it is and what it may be. `info`: of the training split.
RunSpec make_run_spec(const Config& config, const DatasetInfo& info);

/// The type that data have while they are computed with: f32 for fp32 and tf32.
DType compute_type(const Config& config);
/// No part of the run record: it changes no bit, and a resumed run may have another.
Recompute recompute_of(const Config& config);

/// The backend that --device and --device.isa ask for, for a rank of a run (find_seats) or a process alone, and for what is to
/// be computed on it. Throws UsageError where there is no such device, and where two ranks would share one without --share-gpu.
std::unique_ptr<Backend> make_backend(const Config& config, const Seats& seats, const Computation& computation);
/// What make_backend does from now on, in place of that: for test programs that run commands on a backend of their own. To
/// be called before any command.
void set_backend_maker(std::function<std::unique_ptr<Backend>(const Config&)> maker);

/// How gradients travel between the GPUs of the ranks. `speaks`: this rank says on stderr why it is not by NCCL.
TransportOptions transport_options(const Config& config, bool one_host, bool speaks);

/// Design, section 4: what must not change if the bits are to stay.
RunRecord make_run_record(const Config& config, const RunSpec& spec, const DatasetInfo& data, const Backend& backend,
                          const std::string& graph_hash);

/// Threads for one rank: `wanted`, or with 0 the node's cores shared by its ranks; no more than it has micro-batches.
int threads_for(int wanted, int cores, int ranks_on_node, int micro_batches);

/// Cores that this process may run on.
int usable_cores();

}  // namespace convoy
