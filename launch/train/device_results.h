#pragma once
// What the host learns of a step on a device: gathered on the device, sent to staging memory at the step's end, and read
// when the host comes to it.
#include <array>
#include <memory>
#include <vector>

#include "core/backend/device.h"
#include "core/models/training.h"
#include "core/optim/scalars.h"
#include "launch/train/step_engine.h"

namespace convoy {

class DeviceResults {
 public:
  static constexpr std::size_t kWays = 2;  // steps whose results may wait to be read

  /// `scalars`: device memory, f64 [kStepScalars].
  DeviceResults(const TrainingGraph& training, Device& device, double* scalars);

  /// Enqueues copies of the step's numbers to one place. `roots`: the reduced buckets.
  void gather(const std::vector<float*>& roots);
  /// Enqueues the way of that place to the host; way = step modulo kWays.
  void send(std::size_t way);
  /// Passed when the numbers are here.
  const Event& sent(std::size_t way) const { return *ways_[way].sent; }
  /// Fills in what the device decided and summed. Returns the scalars.
  std::array<double, kStepScalars> read(std::size_t way, StepResult& result) const;

  /// Enqueues the numbers that the update of a step reads.
  void order(std::size_t way, const StepOrder& order);

 private:
  struct Way {
    DeviceMemory staging, orders;
    std::unique_ptr<Event> sent;
  };
  Device& device_;
  double* scalars_;
  std::array<LeafSlot, 4> metrics_;  // loss, weight, top-1, top-5
  LeafSlot asked_;
  DeviceMemory gathered_;
  std::array<Way, kWays> ways_;
};

}  // namespace convoy
