#include "launch/train/state_memory.h"

#include "core/tensor/error.h"

namespace convoy {
StateMemory::StateMemory(ModelState& state, Device& device) : state_(state), device_(device) {
  for (auto* tensors : {&state_.parameters, &state_.slots, &state_.state, &state_.averages, &state_.constants, &state_.copies})
    for (auto& [name, tensor] : *tensors) {
      places_[tensor.bytes()] = {bytes_, tensor.size_bytes()};
      bytes_ += booked_bytes(tensor.size_bytes());
    }
  if (device_.is_host()) {
    places_.clear();
    return;
  }
  memory_ = device_.allocate(bytes_);
  upload();
}

void* StateMemory::of(const void* on_host) const {
  auto* key = static_cast<std::byte*>(const_cast<void*>(on_host));
  if (device_.is_host()) return key;
  const auto place = places_.find(key);
  if (place == places_.end()) throw Error("a tensor of the state has no memory on the device");
  return memory_.get() + place->second.offset;
}

void StateMemory::upload() {
  for (const auto& [tensor, place] : places_)
    device_.copy(Stream::compute, memory_.get() + place.offset, tensor, place.bytes);
  device_.synchronize(Stream::compute);
}

void StateMemory::download() {
  for (const auto& [tensor, place] : places_)
    device_.copy(Stream::compute, tensor, memory_.get() + place.offset, place.bytes);
  device_.synchronize(Stream::compute);
}

}  // namespace convoy
