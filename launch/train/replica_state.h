#pragma once
// The state of one replica of local SGD: all that averaging takes the mean of lies in one array.
#include <cstddef>
#include <span>

#include "launch/train/model_state.h"

namespace convoy {

class ReplicaState {
 public:
  /// A copy of `model`, with which it shares the constants.
  explicit ReplicaState(const ModelState& model);
  ReplicaState(const ReplicaState&) = delete;
  ReplicaState& operator=(const ReplicaState&) = delete;

  ModelState& state() { return state_; }
  /// Parameters, slots, running statistics and averages, f32, one after the other with zeros between them.
  std::span<float> averaged() { return values_.values<float>(); }

 private:
  Tensor values_;
  ModelState state_;
};

}  // namespace convoy
