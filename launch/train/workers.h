#pragma once
// The threads of a rank. Each owns a micro-batch program and runs its share of the rank's micro-batches; every
// completed bucket goes to the reducer while backward still runs.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "distributed/reduction.h"
#include "io/checkpoint.h"
#include "io/loader.h"
#include "launch/train/model_state.h"
#include "launch/train/thread_team.h"

namespace convoy {

/// Places behind the graph's own leaves in the last bucket. They travel through the same tree and tell every rank, at
/// the same step and without another message, what the signals asked of any of them: the sum is above 0, which no
/// rounding of sums changes.
enum Asked { kAskCheckpoint = 0, kAskStop = 1, kAsked = 16 };

struct WorkersOptions {
  int threads = 1;
  int threads_per_micro_batch = 1;
  int first_leaf = 0, last_leaf = 1;  // this rank's micro-batches
  /// Fault injection: whether the sample of this id is to become NaN after `prepare`. Null: none. Any thread.
  std::function<bool(std::int64_t id)> poison;
  /// Fault injection: called by every thread once a step, inside what counts as the wait for its first samples, and
  /// before its first micro-batch. Null: nothing.
  std::function<void(std::int64_t step)> before_input, before_compute;
};

/// The first op of a micro-batch, in the program's order, that wrote a value that is not finite.
struct NotFinite {
  int leaf = -1;
  std::string op, layer;    // "convolution" of layer "conv1"
  float value = 0;          // NaN or an infinity
  /// The sample in whose row it stands: id, and index in the split. -1: the value has no rows, like a filter's gradient.
  std::int64_t id = -1, index = -1;
};

class Workers {
 public:
  /// `training` must outlive this object.
  Workers(const TrainingGraph& training, const Backend& backend, ModelState& state, const WorkersOptions& options);

  /// Floats per bucket, the requests of signals included: what the reducer is made for.
  static std::vector<std::int64_t> bucket_elements(const TrainingGraph& training);

  /// Runs this rank's micro-batches of one step and hands their buckets to `reducer`. `asked` is written into the first
  /// leaf of this rank. Rethrows the first exception of a thread.
  void run_step(std::int64_t step, Loader& loader, GradientReducer& reducer, const std::array<float, 2>& asked);

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
    std::vector<Tensor> buckets;
    std::vector<EpochLedger> ledgers;
    double data_wait = 0;
    int first_leaf = 0, last_leaf = 0;
    int current_leaf = 0;
    GradientReducer* reducer = nullptr;   // null while a step is replayed
    const MicroBatch* batch = nullptr;    // under way
  };
  const TrainingGraph& training_;
  WorkersOptions options_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  ThreadTeam team_;

  std::unique_ptr<Lane> make_lane(const Backend& backend, ModelState& state);
  void run_leaf(Lane& lane, std::int64_t step, int leaf, Loader& loader, const std::array<float, 2>& asked);
  void bind_batch(Lane& lane, const MicroBatch& batch);
  void observe(Lane& lane, std::vector<NotFinite>* found);
  void poison(const Lane& lane, Value prepared) const;
};

}  // namespace convoy
