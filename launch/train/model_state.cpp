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
  const auto zeros = [&](Value value) {
    const TensorDesc& desc = update.graph.info(value).desc;
    return Tensor(desc.shape, desc.dtype);
  };
  for (const UpdateGraph::Parameter& parameter : update.parameters)
    for (const UpdateGraph::Slot& slot : parameter.slots) state.slots.emplace(slot.name, zeros(slot.value));
  for (const UpdateGraph::Average& average : update.averages) state.averages.emplace(average.name, zeros(average.average));
  broadcast_state(state, world);
  begin_averages(state);
  return state;
}

void begin_averages(ModelState& state) {
  for (auto& [name, average] : state.averages) {
    const auto parameter = state.parameters.find(name);
    const Tensor& value = parameter != state.parameters.end() ? parameter->second : state.state.at(name);
    std::memcpy(average.bytes(), value.bytes(), value.size_bytes());
  }
}

void broadcast_state(ModelState& state, Communicator& world) {
  broadcast(state.parameters, world);
  broadcast(state.slots, world);
  broadcast(state.state, world);
  broadcast(state.averages, world);
  refresh_copies(state);
}

void restore(ModelState& state, const Checkpoint& checkpoint, bool with_optimizer, const std::string& file) {
  copy_all(state.parameters, checkpoint.parameters, "parameters", file);
  copy_all(state.state, checkpoint.state, "state", file);
  if (with_optimizer) {
    copy_all(state.slots, checkpoint.optimizer, "optimizer", file);
    copy_all(state.averages, checkpoint.averages, "averages", file);
  }
  refresh_copies(state);
}

void take_averages(ModelState& state, const Checkpoint& checkpoint, const std::string& file) {
  if (checkpoint.averages.empty())
    throw UsageError(fmt::format("{} holds no averages: the run was trained with optim.average = none; give --weights=last", file));
  TensorMap averaged;  // what has none (frozen layers) is its own average
  for (auto* group : {&state.parameters, &state.state})
    for (auto& [name, tensor] : *group)
      if (checkpoint.averages.contains(name)) averaged.emplace(name, tensor);
  copy_all(averaged, checkpoint.averages, "averages", file);
  refresh_copies(state);
}

void copy_values(ModelState& into, const ModelState& from) {
  const auto copy = [](TensorMap& to, const TensorMap& tensors) {
    for (auto& [name, tensor] : to) std::memcpy(tensor.bytes(), tensors.at(name).bytes(), tensor.size_bytes());
  };
  copy(into.parameters, from.parameters);
  copy(into.slots, from.slots);
  copy(into.state, from.state);
  copy(into.averages, from.averages);
  refresh_copies(into);
}

void store(const ModelState& state, Checkpoint& checkpoint) {
  checkpoint.parameters = state.parameters;
  checkpoint.optimizer = state.slots;
  checkpoint.state = state.state;
  checkpoint.averages = state.averages;
}

void* memory_of(ModelState& state, const ValueInfo& value) {
  TensorMap* group = group_of(state, value.role);
  if (!group || !group->contains(value.name)) throw Error("no memory for the value \"" + value.name + "\"");
  return group->at(value.name).bytes();
}

}  // namespace convoy
