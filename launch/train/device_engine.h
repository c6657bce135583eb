#pragma once
// The engine of a device (launch/train/step_engine.h). One thread enqueues; nothing waits for the device inside a step but
// for staging memory that is still being read, and for a reduction that goes through the host.
//
//   copy stream      staging -> landing                              (DeviceInputs)
//   compute stream   per micro-batch: landing -> inputs, the micro-batch program with the folds of its buckets
//                    per step: rate and wanted -> scalars, the update program, results -> staging
//   communication    the exchange of buckets, which the last micro-batch sends while it still computes
//
// The micro-batch program is captured once for each of its roles, the update once; what changes from step to step is read
// from memory.
#include <array>
#include <memory>
#include <vector>

#include "launch/train/device_inputs.h"
#include "launch/train/device_results.h"
#include "launch/train/device_sums.h"
#include "launch/train/engine_parts.h"

namespace convoy {

class DeviceEngine final : public StepEngine {
 public:
  DeviceEngine(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend, StateMemory& memory,
               const EngineOptions& options);

  void connect(Communicator& world) override;
  int depth() const override { return static_cast<int>(DeviceResults::kWays); }
  int under_way() const override { return static_cast<int>(begun_ - taken_); }
  void begin(const StepOrder& order) override;
  StepResult take() override;
  Requests discard() override;
  void go_on() override;
  std::vector<NotFinite> replay(std::int64_t step, Loader& loader) override;
  void read_state() override;
  void write_state() override;
  KeptScalars kept_scalars() override;
  void set_kept_scalars(const KeptScalars& kept) override;
  std::size_t memory_bytes() const override;
  void set_profile(bool on) override;
  std::vector<const Program*> programs() const override { return {&program_}; }

 private:
  using Scalars = std::array<double, kStepScalars>;
  enum class Role { idle, accumulates, completes };  // what becomes of a micro-batch's buckets
  struct Step {
    StepResult result;
    Requests asked{};
    std::int64_t began_ns = 0;
    std::unique_ptr<Event> last_leaf;  // where the last micro-batch begins
  };

  const TrainingGraph& training_;
  const UpdateGraph& update_graph_;
  const EngineOptions options_;
  Device& device_;
  StateMemory& memory_;
  DeviceMemory scalars_;
  Program program_, update_;
  DeviceInputs inputs_;
  DeviceSums sums_;
  DeviceResults results_;
  std::array<Step, DeviceResults::kWays> steps_;
  std::unique_ptr<Event> newest_;    // passed: the device has nothing to do
  DeviceMemory nan_row_;             // staging; made for the first poisoned sample
  Communicator* world_ = nullptr;
  std::vector<float*> roots_;
  std::unique_ptr<DeviceReduction> reduction_;  // before the captures in which it stands
  std::unique_ptr<Replay> accumulate_, complete_, apply_;
  Role role_ = Role::idle;
  std::size_t begun_ = 0, taken_ = 0;
  std::int64_t taken_ns_ = 0;
  double scale_ = 1;                 // of the loss in the step whose result is taken next
  std::size_t equal_at_ = 0;         // steps begun when host and device last had the same state

  Step& step_at(std::size_t number) { return steps_[number % steps_.size()]; }
  double* scalars() const { return reinterpret_cast<double*>(scalars_.get()); }
  void bucket_ready(int bucket);
  void run_program(Role role);
  void run_update();
  void capture();
  void run_leaf(const StepOrder& order, Step& step, int leaf);
  std::shared_ptr<MicroBatch> next_batch(const StepOrder& order, Step& step, int leaf);
  bool is_poisoned(const MicroBatch& batch) const;
  void poison(const MicroBatch& batch, Value prepared);
  std::optional<NotFinite> look_at(Value value, const MicroBatch& batch);
  DeviceWait waiting(std::string_view what, std::int64_t step, trace::Activity activity) const;
  Scalars read_scalars();
  void write_scalars(const Scalars& scalars);
};

}  // namespace convoy
