#pragma once
// The threads of a rank. Each owns a micro-batch program and runs its share of the rank's micro-batches; every
// completed bucket goes to the reducer while backward still runs.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "distributed/float_buffer.h"
#include "distributed/reduction.h"
#include "io/checkpoint.h"
#include "io/loader.h"
#include "launch/train/batch_sums.h"
#include "launch/train/step_engine.h"
#include "launch/train/thread_team.h"

namespace convoy {

struct WorkersOptions {
  int threads = 1;
  int threads_per_micro_batch = 1;
  int first_leaf = 0, last_leaf = 1;  // this rank's micro-batches
  BatchSums* batch_sums = nullptr;    // where the programs ask for sums over the batch; each micro-batch then has a thread
  std::vector<bool> lends;            // by bucket: of each thread's last leaf it is the reducer's until the next step
  const void* loss_scale = nullptr;   // f32 [1], read by micro-batch programs whose loss is scaled
  std::function<void(const Program& program, int leaf, int exchange)> exchange;  // EngineOptions
  const std::vector<int>* made_at = nullptr;
  /// Fault injection: whether the sample of this id is to become NaN after `prepare`. Null: none. Any thread.
  std::function<bool(std::int64_t id)> poison;
  /// Fault injection: called by every thread once a step, inside what counts as the wait for its first samples, and
  /// before its first micro-batch. Null: nothing.
  std::function<void(std::int64_t step)> before_input, before_compute;
};

class Workers {
 public:
  /// `training` must outlive this object.
  Workers(const TrainingGraph& training, const Backend& backend, const StateMemory& memory, const WorkersOptions& options);

  /// From now on the micro-batch first_leaf is the reducer's leaf `leaf`, and so on. At first it is first_leaf.
  void reduce_as(int leaf) { offset_ = leaf - options_.first_leaf; }
  /// Runs this rank's micro-batches of one step and hands their buckets to `reducer`. `asked` is written into the first
  /// leaf of this rank. Rethrows the first exception of a thread.
  void run_step(std::int64_t step, Loader& loader, GradientReducer& reducer, const Requests& asked);

  /// Runs this rank's micro-batches of one step again and looks at all that every op writes. Hands nothing to a
  /// reducer, and counts no sample. One entry for each micro-batch that has a value that is not finite.
  std::vector<NotFinite> replay(std::int64_t step, Loader& loader);

  /// Sample ids seen in epochs, since the last call.
  std::vector<EpochLedger> take_ledgers();

  /// Seconds that the threads waited for data, divided by the number of threads.
  double data_wait_seconds() const;
  const Program& program(int thread) const { return *lanes_[static_cast<std::size_t>(thread)]->program; }
  /// Times every op from now on (Program::op_seconds).
  void set_profile(bool on);
  int threads() const { return static_cast<int>(lanes_.size()); }
  std::size_t memory_bytes() const;

 private:
  struct Lane {
    std::unique_ptr<Program> program;
    std::vector<FloatBuffer> buckets;
    std::vector<EpochLedger> ledgers;
    double data_wait = 0;
    int first_leaf = 0, last_leaf = 0;
    int current_leaf = 0;
    GradientReducer* reducer = nullptr;   // null while a step is replayed
    const MicroBatch* batch = nullptr;    // under way
  };
  const TrainingGraph& training_;
  WorkersOptions options_;
  int offset_ = 0;                 // of the reducer's leaves
  std::vector<std::unique_ptr<Lane>> lanes_;
  ThreadTeam team_;

  std::unique_ptr<Lane> make_lane(const Backend& backend, const StateMemory& memory);
  void hand_in(Lane& lane, int bucket) const;
  void run_leaf(Lane& lane, std::int64_t step, int leaf, Loader& loader, const Requests& asked);
  void bind_batch(Lane& lane, const MicroBatch& batch);
  void observe(Lane& lane, std::vector<NotFinite>* found);
  void poison(const Lane& lane, Value prepared) const;
};

}  // namespace convoy
