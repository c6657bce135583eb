#pragma once
// The engine of a host: threads with a micro-batch program each, and a reducer that exchanges while they compute. A step is
// over when begin() returns.
#include <memory>
#include <optional>
#include <vector>

#include "launch/train/engine_parts.h"
#include "launch/train/workers.h"

namespace convoy {

/// What is alike in engines whose steps are over when begin() returns.
class BlockingEngine : public StepEngine {
 public:
  int depth() const final { return 1; }
  int under_way() const final { return result_ ? 1 : 0; }
  void begin(const StepOrder& order) final;
  StepResult take() final;
  Requests discard() final;
  std::optional<Traffic> traffic() const final;

 protected:
  /// Seconds are begin()'s business, and compute, which is what remains of them.
  virtual StepResult run(const StepOrder& order) = 0;
  /// Bytes alone.
  virtual Traffic sent() const = 0;

 private:
  std::optional<StepResult> result_;
  Requests asked_{};
  double waited_seconds_ = 0, seconds_ = 0;
};

/// An update program on a host. Threads: one at a time.
class HostUpdate {
 public:
  /// All of it outlives this object. `scalars`: f64 [kStepScalars], which it keeps.
  HostUpdate(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend, const StateMemory& memory,
             double* scalars);
  /// `roots`: the reduced buckets, which may lie elsewhere from step to step.
  void run(const std::vector<float*>& roots, const StepOrder& order);

 private:
  const TrainingGraph& training_;
  const UpdateGraph& update_;
  double* scalars_;
  Program program_;
  std::vector<float*> roots_;      // as bound
};

/// By bucket: no op of the micro-batch program reads a leaf in it behind the call that hands it in, as the backward of batch
/// norm reads the moments; so the last micro-batch of a thread may lend it to the reducer.
std::vector<bool> lendable_buckets(const TrainingGraph& training);

/// The sums over the batch, and what signals asked, from the reduced buckets.
void read_sums(const TrainingGraph& training, const std::vector<float*>& roots, StepResult& result);

class HostEngine final : public BlockingEngine {
 public:
  HostEngine(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend, StateMemory& memory,
             const EngineOptions& options);

  /// The tree is that over options.virtual_workers, which are shared among the ranks of `world`; the micro-batches
  /// [first_leaf, last_leaf) are handed in as those from `reduced_as` on.
  void connect(Communicator& world) override { connect(world, options_.first_leaf); }
  void connect(Communicator& world, int reduced_as);

  // A step in two halves, for engines that do something between them.
  /// The micro-batches and their reduction.
  void compute(const StepOrder& order);
  /// The reduced buckets, until the next step. May be written to.
  const std::vector<float*>& sums() const { return roots_; }
  /// The update.
  void update(const StepOrder& order) { update_.run(roots_, order); }
  /// Of this step, by now.
  StepResult result(const StepOrder& order);
  double* scalars() { return scalars_.values<double>().data(); }

  void go_on() override;
  std::vector<NotFinite> replay(std::int64_t step, Loader& loader) override { return workers_->replay(step, loader); }
  void read_state() override {}
  void write_state() override {}
  KeptScalars kept_scalars() override { return kept_in(scalars()); }
  void set_kept_scalars(const KeptScalars& kept) override { keep_in(scalars(), kept); }
  std::size_t memory_bytes() const override;
  void set_profile(bool on) override { workers_->set_profile(on); }
  std::vector<const Program*> programs() const override;

 private:
  StepResult run(const StepOrder& order) override;
  Traffic sent() const override { return {.gradients = reducer_->sent_bytes()}; }

  const TrainingGraph& training_;
  const EngineOptions options_;
  StateMemory& memory_;
  Tensor scalars_;
  const std::vector<bool> lends_;   // by bucket
  std::unique_ptr<BatchSums> batch_sums_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<GradientReducer> reducer_;
  HostUpdate update_;
  std::vector<float*> roots_;
  StepParts before_;               // waits in all when the step began
  double loss_scale_ = 1;          // of this step
  std::int64_t arrival_ns_ = 0;
};

}  // namespace convoy
