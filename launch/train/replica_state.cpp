#include "launch/train/replica_state.h"

#include <string>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr std::int64_t kAlignElements = 16;  // tensors begin at multiples of 64 bytes

std::int64_t aligned(std::int64_t elements) { return (elements + kAlignElements - 1) / kAlignElements * kAlignElements; }

template <typename Visit>
void visit_averaged(const ModelState& model, const Visit& visit) {
  for (auto group : {&ModelState::parameters, &ModelState::slots, &ModelState::state, &ModelState::averages})
    for (const auto& [name, tensor] : model.*group) visit(group, name, tensor);
}

}  // namespace

ReplicaState::ReplicaState(const ModelState& model) {
  std::int64_t elements = 0;
  visit_averaged(model, [&](auto, const std::string& name, const Tensor& tensor) {
    if (tensor.dtype() != DType::f32) throw Error(name + " is not f32: replicas average f32 alone");
    elements += aligned(tensor.elements());
  });
  values_ = Tensor({elements}, DType::f32);
  std::int64_t at = 0;
  visit_averaged(model, [&](auto group, const std::string& name, const Tensor& tensor) {
    (state_.*group).emplace(name, values_.slice(at, at + tensor.elements()).reshaped(tensor.shape()));
    at += aligned(tensor.elements());
  });
  state_.constants = model.constants;
  for (const auto& [name, copy] : model.copies) state_.copies.emplace(name, copy.clone());
  copy_values(state_, model);
}

}  // namespace convoy
