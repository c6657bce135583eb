#include "launch/train/model_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/graph/initialize.h"
#include "core/tensor/error.h"
#include "core/tensor/narrow.h"

namespace convoy {
namespace {

using TensorMap = std::map<std::string, Tensor>;

void broadcast(TensorMap& tensors, Communicator& world) {
  for (auto& [name, tensor] : tensors) {
    world.at("broadcast of the first value of " + name, 0);
    world.broadcast(tensor.bytes(), tensor.size_bytes(), 0);
  }
}

void copy_all(TensorMap& into, const TensorMap& from, std::string_view group, const std::string& file) {
  for (const auto& [name, tensor] : from)
    if (!into.contains(name))
      throw DataError(fmt::format("{}: {}/{} is not in the model that the config describes", file, group, name));
  for (auto& [name, tensor] : into) {
    const auto found = from.find(name);
    if (found == from.end()) throw DataError(fmt::format("{}: {}/{} is missing", file, group, name));
    if (found->second.shape() != tensor.shape() || found->second.dtype() != tensor.dtype())
      throw DataError(fmt::format("{}: {}/{} is {} {} where the model has {} {}", file, group, name,
                                  name_of(found->second.dtype()), found->second.shape().str(),
                                  name_of(tensor.dtype()), tensor.shape().str()));
    std::memcpy(tensor.bytes(), found->second.bytes(), tensor.size_bytes());
  }
}

TensorMap* group_of(ModelState& state, Role role) {
  switch (role) {
    case Role::parameter: return &state.parameters;
    case Role::state: return &state.state;
    case Role::constant: return &state.constants;
    case Role::copy: return &state.copies;
    default: return nullptr;
  }
}

template <typename T>
void round_into(Tensor& copy, const Tensor& values) {
  const auto from = values.values<float>();
  std::transform(from.begin(), from.end(), copy.values<T>().begin(), [](float value) { return from_float<T>(value); });
}

}  // namespace

void refresh_copies(ModelState& state) {
  for (auto& [name, copy] : state.copies) {
    const auto parameter = state.parameters.find(name);
    const Tensor& values = parameter != state.parameters.end() ? parameter->second : state.constants.at(name);
    if (copy.dtype() == DType::bf16)
      round_into<Bf16>(copy, values);
    else
      round_into<F16>(copy, values);
  }
}

bool lies_in_state(Role role) {
  return role == Role::parameter || role == Role::state || role == Role::constant || role == Role::copy;
}

ModelState state_for_inference(const Graph& graph, std::uint64_t seed) {
  ModelState state;
  for (const ValueInfo& value : graph.values()) {
    TensorMap* group = group_of(state, value.role);
    if (!group) continue;
    group->emplace(value.name, value.role == Role::constant ? initial_value(value, seed)
                                                            : Tensor(value.desc.shape, value.desc.dtype));
  }
  refresh_copies(state);
  return state;
}

ModelState initial_state(const Graph& graph, const UpdateGraph& update, std::uint64_t seed, Communicator& world) {
  ModelState state = state_for_inference(graph, seed);
  if (world.rank() == 0)
    for (const ValueInfo& value : graph.values())
      if (value.role == Role::parameter || value.role == Role::state)
        group_of(state, value.role)->at(value.name) = initial_value(value, seed);
  broadcast(state.constants, world);
  for (const UpdateGraph::Parameter& parameter : update.parameters) {
    const ValueInfo& velocity = update.graph.info(parameter.velocity);
    state.velocities.emplace(velocity.name, Tensor(velocity.desc.shape, velocity.desc.dtype));
  }
  broadcast_state(state, world);
  return state;
}

void broadcast_state(ModelState& state, Communicator& world) {
  broadcast(state.parameters, world);
  broadcast(state.velocities, world);
  broadcast(state.state, world);
  refresh_copies(state);
}

void restore(ModelState& state, const Checkpoint& checkpoint, bool with_optimizer, const std::string& file) {
  copy_all(state.parameters, checkpoint.parameters, "parameters", file);
  copy_all(state.state, checkpoint.state, "state", file);
  if (with_optimizer) copy_all(state.velocities, checkpoint.optimizer, "optimizer", file);
  refresh_copies(state);
}

void copy_values(ModelState& into, const ModelState& from) {
  const auto copy = [](TensorMap& to, const TensorMap& tensors) {
    for (auto& [name, tensor] : to) std::memcpy(tensor.bytes(), tensors.at(name).bytes(), tensor.size_bytes());
  };
  copy(into.parameters, from.parameters);
  copy(into.velocities, from.velocities);
  copy(into.state, from.state);
  refresh_copies(into);
}

void store(const ModelState& state, Checkpoint& checkpoint) {
  checkpoint.parameters = state.parameters;
  checkpoint.optimizer = state.velocities;
  checkpoint.state = state.state;
}

void* memory_of(ModelState& state, const ValueInfo& value) {
  TensorMap* group = group_of(state, value.role);
  if (!group || !group->contains(value.name)) throw Error("no memory for the value \"" + value.name + "\"");
  return group->at(value.name).bytes();
}

}  // namespace convoy
