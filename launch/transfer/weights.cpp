#include "launch/transfer/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr const char* kModel = "convoy.model";
constexpr const char* kOptions = "convoy.options";
constexpr std::string_view kCount = ".num_batches_tracked";

/// "shortcut=B stride-on=3x3": every option, given or not.
std::string options_text(const Task& task) {
  std::string text;
  for (const auto& [name, value] : complete_options(find_model(task.model), task.options))
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  return text;
}

/// "layer1.0.bn1.running_var" -> "layer1.0.bn1.num_batches_tracked".
std::string count_name(const std::string& variance) { return variance.substr(0, variance.rfind('.')) + std::string(kCount); }

/// The tensors of a role; State is ModelState, const or not.
template <typename State>
auto& group_of(State& state, Role role) {
  return role == Role::parameter ? state.parameters : role == Role::state ? state.state : state.constants;
}

void check_metadata(const Safetensors& content, const Task& task, const std::string& file) {
  const auto says = [&](const char* key) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? std::string() : found->second;
  };
  const std::string model = says(kModel), options = says(kOptions);
  if (!model.empty() && (model != task.model || options != options_text(task)))
    throw DataError(fmt::format("{}: holds {} ({}), where {} ({}) was asked for; give --model.name and the options of the file",
                                file, model, options, task.model, options_text(task)));
}

std::string hint(const Twin& twin) { return twin.name.empty() ? fmt::format(" ({})", twin.why_not) : ""; }

/// A constant is not of the file's making: it must be the one that the seed gives.
void check_constant(const Tensor& read, const OutsideTensor& what, const Tensor& made, const std::string& file) {
  Tensor given(what.here, DType::f32);
  from_outside(read, what, given);
  if (std::memcmp(given.bytes(), made.bytes(), made.size_bytes()) != 0)
    throw DataError(fmt::format("{}: {} is fixed by the seed, and this one is of another; give --seed as it was trained with", file,
                                what.name));
}

}  // namespace

Safetensors weights_of(const ModelState& state, const Task& task, const Graph& graph, std::int64_t batches) {
  const Twin twin = find_twin(task, graph);
  Safetensors content;
  for (const OutsideTensor& tensor : outside_tensors(graph)) {
    const std::string name = outside_name(tensor, twin);
    content.tensors.emplace(name, to_outside(group_of(state, tensor.role).at(tensor.name), tensor));
    if (twin.name.empty() || !is_batch_norm(tensor)) continue;
    Tensor count(Shape{}, DType::i64);
    count.values<std::int64_t>()[0] = batches;
    content.tensors.emplace(count_name(name), count);
  }
  content.metadata = {{"format", "pt"},
                      {kModel, task.model},
                      {kOptions, options_text(task)},
                      {"convoy.names", twin.name.empty() ? "convoy" : "torchvision " + twin.name},
                      {"convoy.layout", "PyTorch's: filters [o, c / groups, k..], weights [units, features]"}};
  return content;
}

void take_weights(const Safetensors& content, const Task& task, const Graph& graph, const std::string& file, ModelState& state) {
  check_metadata(content, task, file);
  const Twin twin = find_twin(task, graph);
  std::set<std::string> wanted;
  for (const OutsideTensor& tensor : outside_tensors(graph)) {
    const std::string name = outside_name(tensor, twin);
    wanted.insert(name);
    if (is_batch_norm(tensor)) wanted.insert(count_name(name));
    const auto found = content.tensors.find(name);
    if (found == content.tensors.end())
      throw DataError(fmt::format("{}: there is no tensor {} for {} of {}{}", file, name, tensor.name, task.model, hint(twin)));
    if (found->second.shape() != tensor.there || !is_floating(found->second.dtype()))
      throw DataError(fmt::format("{}: {} is {} {} where {} takes real numbers {}{}", file, name, name_of(found->second.dtype()),
                                  found->second.shape().str(), tensor.name, tensor.there.str(), hint(twin)));
    Tensor& into = group_of(state, tensor.role).at(tensor.name);
    if (tensor.role == Role::constant)
      check_constant(found->second, tensor, into, file);
    else
      from_outside(found->second, tensor, into);
  }
  for (const auto& [name, tensor] : content.tensors)
    if (!wanted.contains(name))
      throw DataError(fmt::format("{}: {} {} has no place in {}{}", file, name, tensor.shape().str(), task.model, hint(twin)));
}

std::int64_t classes_in(const Safetensors& content, const Task& task, const Graph& graph) {
  const Twin twin = find_twin(task, graph);
  const auto last = std::find_if(graph.ops().rbegin(), graph.ops().rend(), [](const Op& op) { return op.kind == OpKind::dense; });
  if (last == graph.ops().rend()) return 0;
  for (const OutsideTensor& tensor : outside_tensors(graph)) {
    if (tensor.name != graph.info(last->inputs[1]).name) continue;
    const auto found = content.tensors.find(outside_name(tensor, twin));
    return found != content.tensors.end() && found->second.shape().rank() == 2 ? found->second.shape()[0] : 0;
  }
  return 0;
}

}  // namespace convoy
