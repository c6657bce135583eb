#pragma once
// Training steps on one kind of device: programs, buckets, reduction and update of one rank. The trainer gives orders and
// takes results; what lies between is the engine's.
//
// A step: every micro-batch that the rank holds goes through the micro-batch program; the sums of its leaves are reduced
// over all ranks; the update program looks at them (step_guard) and applies itself only where all are finite, the step is
// wanted, and no earlier step was left undealt with. Steps begin before the results of those before are taken where the
// engine goes ahead (depth() > 1): a step that was not finite halts the updates of all that follow it, until the trainer
// has dealt with it (discard, go_on).
//
// Threads: one, the trainer's.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "distributed/device_transport.h"
#include "distributed/reduction.h"
#include "io/checkpoint.h"
#include "io/loader.h"
#include "launch/train/modes.h"
#include "launch/train/not_finite.h"
#include "launch/train/state_memory.h"
#include "launch/train/step_times.h"
#include "launch/train/traffic.h"

namespace convoy {

/// Places behind the graph's own leaves in the last bucket. They travel through the same tree and tell every rank, at
/// the same step and without another message, what the signals asked of any of them: the sum is above 0, which no
/// rounding of sums changes.
enum Asked { kAskCheckpoint = 0, kAskStop = 1, kAsked = 16 };
using Requests = std::array<float, 2>;  // {checkpoint, stop}, 0 or 1

/// Floats per bucket, the requests of signals included.
std::vector<std::int64_t> bucket_elements(const TrainingGraph& training);
/// What the guard of a run looks at. `scaling`: of the loss (fp16).
GuardOptions guard_options(const TrainingGraph& training, bool scaling);
/// Whether the graph's loss is scaled (it has an input "loss_scale").
bool scales_loss(const TrainingGraph& training);
/// The loss scale with which a run begins: 65536 where the loss is scaled, else 1.
double first_loss_scale(const TrainingGraph& training);

/// Elements of the sums over the batch that the micro-batches ask for within a step, by their index; most graphs have none.
std::vector<std::int64_t> batch_sum_elements(const TrainingGraph& training);
/// Threads of a rank that holds so many micro-batches: `threads`, or one for each where they meet within a step.
int host_threads(const TrainingGraph& training, int threads, int micro_batches);

/// What a step is made of.
struct StepOrder {
  std::int64_t step = 0;           // done before it: micro-batches are asked for by this number
  double rate = 0;                 // learning rate
  bool wanted = true;              // false: on the list of skipped steps
  Requests asked{};                // of this rank
  Loader* loader = nullptr;        // used until the result is taken
};

/// What became of it; the same on every rank but for the parts and ledgers.
struct StepResult {
  std::int64_t step = 0;           // as ordered
  double rate = 0;
  bool wanted = true;
  double loss = 0, weight = 0, top1 = 0, top5 = 0;  // sums over the batch
  Requests asked{};                // of any rank: > 0
  bool finite = true;              // all that was reduced
  bool applied = true;
  bool halted = false;             // updates stand still until go_on(): this step was not finite
  double loss_scale = 1;           // that this step was computed with
  StepParts parts;
  double seconds = 0;              // since the result before, or since the step began if that was later
  std::int64_t arrival_ns = 0;     // when this rank's last bucket was complete (own clock)
  std::vector<EpochLedger> ledgers;  // of this rank's samples
};

/// The scalars that the update program keeps from step to step (StepScalar).
struct KeptScalars {
  double loss_scale = 1;
  std::int64_t good_steps = 0;     // since the loss scale last changed
  std::int64_t updates = 0;        // that were applied
};

struct EngineOptions {
  Mode mode = Mode::sync;
  LocalRule local = {};            // Mode::local
  int first_replica = 0, last_replica = 1;  // of this rank
  int tower = -1;                  // Mode::model: of this rank; -1: it has all
  std::size_t bucket_bytes = 0;    // Mode::model: as in build_training_graph
  SumRounding gradient_sums = SumRounding::none;
  /// An update graph of the same optimizer for other gradients, and for batches of so many micro-batches.
  std::function<UpdateGraph(const TrainingGraph& training, std::int64_t micro_batches)> make_update = {};
  /// Mode::model, hosts: an exchange of towers (place_towers.h) within the program that computes micro-batch `leaf`.
  std::function<void(const Program& program, int leaf, int exchange)> exchange = {};
  /// Hosts: by value id, where its op stands in the program of all towers; null: where it stands in the graph.
  const std::vector<int>* made_at = nullptr;
  int first_leaf = 0, last_leaf = 1;  // this rank's micro-batches
  int virtual_workers = 1;
  int threads = 1;                 // hosts: of the rank; a device has one
  int threads_per_micro_batch = 1; // hosts
  ReductionKind reduction = ReductionKind::deterministic;
  TransportOptions transport = {}; // between devices
  std::int64_t classes = 0;        // labels must be below it
  /// Fault injection: whether the sample of this id is to become NaN after `prepare`. Null: none. Any thread.
  std::function<bool(std::int64_t id)> poison = {};
  /// Fault injection: called once a step by every thread, inside what counts as the wait for its first samples; before its
  /// first micro-batch; and before the exchange. Null: nothing.
  std::function<void(std::int64_t step)> before_input = {}, before_compute = {}, before_exchange = {};
};

class StepEngine {
 public:
  virtual ~StepEngine() = default;
  /// Collective, once, before all that follows: makes ready for steps.
  virtual void connect(Communicator& world) = 0;

  /// Steps that may be under way at once.
  virtual int depth() const = 0;
  /// Begun, and their results not taken.
  virtual int under_way() const = 0;
  /// Ranks begin the same steps in the same order.
  virtual void begin(const StepOrder& order) = 0;
  /// The result of the oldest step under way; waits for it.
  virtual StepResult take() = 0;
  /// Waits for all that is under way and forgets it: updates that stood still anyway. Returns what this rank asked by them.
  virtual Requests discard() = 0;
  /// Updates happen again. Nothing may be under way, here and below.
  virtual void go_on() = 0;

  /// Whether the state after so many steps is one model on all ranks, which can be saved, audited and evaluated.
  virtual bool is_one_model_after(std::int64_t) const { return true; }
  /// Where that is so: it comes to where programs find it (StateMemory). Collective.
  virtual void gather_state() {}

  /// Runs this rank's micro-batches of one step again and looks at all that every op writes. Reduces nothing, and counts no
  /// sample. One entry for each micro-batch that has a value that is not finite.
  virtual std::vector<NotFinite> replay(std::int64_t step, Loader& loader) = 0;

  /// The host's tensors (StateMemory::state) become those of the device, and the other way round. Collective. Where the state
  /// is not one model, the host's stay those of the last one that was.
  virtual void read_state() = 0;
  virtual void write_state() = 0;
  virtual KeptScalars kept_scalars() = 0;
  virtual void set_kept_scalars(const KeptScalars& kept) = 0;

  /// What a rank takes for the model's state, programs, buckets and reduction, where it computes.
  virtual std::size_t memory_bytes() const = 0;
  /// None where nobody counts it.
  virtual std::optional<Traffic> traffic() const { return std::nullopt; }
  /// Times every op from now on (Program::op_seconds of programs()).
  virtual void set_profile(bool on) = 0;
  virtual std::vector<const Program*> programs() const = 0;  // micro-batch programs, one a thread
};

/// The engine for the backend's device. Binds the programs; no communication. All of it outlives the engine; `memory` is
/// of the backend's device.
std::unique_ptr<StepEngine> make_step_engine(const TrainingGraph& training, const UpdateGraph& update,
                                             const Backend& backend, StateMemory& memory, const EngineOptions& options);

}  // namespace convoy
