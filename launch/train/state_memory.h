#pragma once
// Where programs find a run's tensors: on a host in the ModelState itself, on a device in a copy of it.
#include <map>

#include "core/backend/device.h"
#include "launch/train/model_state.h"

namespace convoy {

/// What a tensor of the state takes of StateMemory::bytes().
constexpr std::size_t booked_bytes(std::size_t tensor_bytes) { return (tensor_bytes + 255) / 256 * 256; }

/// Threads: one, the device's.
class StateMemory {
 public:
  /// Both outlive this object; the tensors keep their memory. Uploads them.
  StateMemory(ModelState& state, Device& device);

  /// Of a value that lies_in_state.
  void* of(const ValueInfo& value) const { return of(memory_of(state_, value)); }
  /// Of a tensor of the state that begins there.
  void* of(const void* on_host) const;

  /// The device's copy becomes what the host has, or the other way round; waits until that has happened. Nothing is to do
  /// on a host.
  void upload();
  void download();
  /// Of the tensors, where programs find them.
  std::size_t bytes() const { return bytes_; }
  ModelState& state() const { return state_; }

 private:
  ModelState& state_;
  Device& device_;
  DeviceMemory memory_;
  std::size_t bytes_ = 0;
  struct Place {
    std::size_t offset = 0, bytes = 0;
  };
  std::map<std::byte*, Place> places_;  // by the tensor's memory; empty on a host
};

}  // namespace convoy
