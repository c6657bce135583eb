#pragma once
// What a worker computes with: a micro-batch program of its own, and its own copy of the parameters, which may be older than
// the servers' and moved by its own gradients (Downpour SGD; Dean et al. 2012, section 4.1).
//
// Threads: one.
#include <functional>
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "distributed/server/frame.h"
#include "distributed/server/push.h"
#include "io/loader.h"
#include "launch/train/async/flat_layout.h"
#include "launch/train/model_state.h"
#include "launch/train/program_io.h"
#include "launch/train/state_memory.h"

namespace convoy {

struct LaneOptions {
  int servers = 1;
  int threads_per_micro_batch = 1;
  std::int64_t classes = 0;
  std::chrono::milliseconds deadline{600000};  // of a device
  std::function<bool(std::int64_t id)> poison = {};  // fault injection, as EngineOptions
};

class Lane {
 public:
  /// Begins with the values of `state`, of which it keeps a copy. The others outlive this object.
  Lane(const TrainingGraph& training, const FlatLayout& layout, const Backend& backend, const ModelState& state,
       const LaneOptions& options);

  /// The parameters of server `server` have come.
  void take(int server, const Payload& slice);
  /// After the slices of all servers: they hold for what follows.
  void took_all();
  /// Computes one micro-batch and adds its sums to what the next push will hold.
  void compute(const MicroBatch& batch, PushedUnit unit);
  /// Its own step by the newest micro-batch's mean gradient.
  void descend(double rate);
  /// The slices of a push of all that was computed since the last; nothing is left then. What this object knows of it is filled
  /// in into `description`.
  std::vector<Payload> push(Push& description);
  bool has_unpushed() const { return !units_.empty(); }

  std::size_t memory_bytes() const;

 private:
  const TrainingGraph& training_;
  const FlatLayout& layout_;
  const LaneOptions options_;
  ModelState state_;
  std::unique_ptr<StateMemory> memory_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<ProgramIo> io_;
  PayloadPool pool_;
  std::vector<SliceRange> ranges_;
  std::vector<Payload> sums_;            // one a server; empty before the first micro-batch of a push
  std::vector<PushedUnit> units_;
  std::vector<SeenSamples> seen_;
  const MicroBatch* batch_ = nullptr;    // under way

  void put_inputs(const MicroBatch& batch);
  void collect();
  void note_samples(const MicroBatch& batch);
  void observe();
};

/// A copy of its own of everything that the micro-batch program reads.
ModelState copy_for_lane(const Graph& graph, std::uint64_t seed, const ModelState& state);

}  // namespace convoy
