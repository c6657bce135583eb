#pragma once
// How samples come to a device: loader's buffer -> staging memory (by the host) -> landing memory (on the copy stream) ->
// the place that the program reads (on the compute stream, a copy within the device). Two of each but the last, so that
// the next micro-batch travels while this one is computed.
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/device.h"
#include "core/models/training.h"
#include "distributed/device_wait.h"
#include "io/loader.h"
#include "launch/train/step_engine.h"

namespace convoy {

class DeviceInputs {
 public:
  DeviceInputs(const TrainingGraph& training, Device& device);

  /// Where the program finds its inputs: binds them.
  void bind(Program& program) const;
  /// [kAsked] floats of the micro-batch under way, and its number counted from the rank's first.
  const float* asked() const;
  const std::int32_t* leaf() const;

  /// From here on, in the order of the compute stream, the inputs are those of this micro-batch. Copies them before it
  /// returns; waits (`wait`) where the copies of the last but one are still under way.
  void put(const MicroBatch& batch, std::int32_t leaf, const Requests& asked, DeviceWait wait);
  std::size_t memory_bytes() const { return 3 * bytes_; }

 private:
  struct Place {
    Value value;
    std::size_t offset = 0, bytes = 0;
  };
  struct Way {
    DeviceMemory staging, landing;
    std::unique_ptr<Event> landed, emptied;
  };
  Device& device_;
  TaskInputs inputs_;
  std::vector<Place> places_;
  std::size_t asked_ = 0, leaf_ = 0, bytes_ = 0;  // offsets; of all
  std::array<Way, 2> ways_;
  std::size_t next_ = 0;
  DeviceMemory current_;

  std::size_t take(std::size_t bytes);
  void pack(std::byte* to, const MicroBatch& batch, std::int32_t leaf, const Requests& asked) const;
};

}  // namespace convoy
