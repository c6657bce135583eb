#include "core/graph/graph.h"

#include <algorithm>

#include "core/graph/layer_names.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

std::string join(const std::string& scope, std::string_view name) {
  return scope.empty() ? std::string(name) : scope + "/" + std::string(name);
}

}  // namespace

Value Graph::add_named(std::string name, TensorDesc desc, Role role, ParameterInfo info) {
  const int id = static_cast<int>(values_.size());
  if (!names_.emplace(name, id).second)
    throw UsageError("the model has two values named \"" + name + "\"; give one of the layers another name");
  values_.push_back({std::move(name), std::move(desc), role, -1, std::move(info)});
  return {id};
}

Value Graph::add_input(std::string name, Shape shape, DType dtype) {
  return add_named(std::move(name), {shape, dtype}, Role::input, {});
}

Value Graph::add_parameter(std::string name, Shape shape, ParameterInfo info) {
  info.frozen = matches_any(frozen, scope_);
  return add_named(join(scope_, name), {shape, real_}, Role::parameter, std::move(info));
}

Value Graph::add_state(std::string name, Shape shape, Initializer initializer) {
  return add_named(join(scope_, name), {shape, real_}, Role::state, {initializer, 1, 1, false});
}

Value Graph::add_constant(std::string name, Shape shape, ParameterInfo info) {
  return add_named(join(scope_, name), {shape, real_}, Role::constant, std::move(info));
}

Value Graph::add_copy(Value of, DType dtype) {
  ValueInfo copy = info(of);
  if (copy.role != Role::parameter && copy.role != Role::constant)
    throw Error("only parameters and constants have copies, but value " + std::to_string(of.id) + " is neither");
  copy.role = Role::copy;
  copy.desc.dtype = dtype;
  values_.push_back(std::move(copy));
  return {static_cast<int>(values_.size()) - 1};
}

Value Graph::add_result(TensorDesc desc, Role role) {
  values_.push_back({"", std::move(desc), role, -1, {}});
  return {static_cast<int>(values_.size()) - 1};
}

std::vector<Value> Graph::add_op(OpKind kind, Attributes attributes, std::vector<Value> inputs, Role role) {
  std::vector<TensorDesc> operands;
  for (Value input : inputs) operands.push_back(info(input).desc);
  std::vector<TensorDesc> results;
  try {
    results = op_def(kind).infer(attributes, operands);
  } catch (const UsageError& error) {
    const std::string layer = scope_.empty() ? std::string(op_def(kind).name) : scope_;
    throw UsageError("layer \"" + layer + "\": " + error.what());
  }
  const int producer = static_cast<int>(ops_.size());
  Op op{kind, std::move(attributes), std::move(inputs), {}, scope_};
  for (TensorDesc& result : results) {
    op.outputs.push_back({static_cast<int>(values_.size())});
    values_.push_back({"", std::move(result), role, producer, {}});
  }
  ops_.push_back(std::move(op));
  return ops_.back().outputs;
}

Value Graph::add(OpKind kind, Attributes attributes, std::vector<Value> inputs, Role role) {
  const std::vector<Value> outputs = add_op(kind, std::move(attributes), std::move(inputs), role);
  if (outputs.empty()) throw Error("op " + std::string(op_def(kind).name) + " has no output");
  return outputs.front();
}

std::vector<Value> Graph::with_role(Role role) const {
  std::vector<Value> found;
  for (std::size_t id = 0; id < values_.size(); ++id)
    if (values_[id].role == role) found.push_back({static_cast<int>(id)});
  return found;
}

Value Graph::find(std::string_view name) const {
  const auto entry = names_.find(name);
  return entry == names_.end() ? Value{} : Value{entry->second};
}

Value Graph::copy_of(std::string_view name) const {
  for (std::size_t id = 0; id < values_.size(); ++id)
    if (values_[id].role == Role::copy && values_[id].name == name) return {static_cast<int>(id)};
  return {};
}

Graph::Scope::Scope(Graph& graph, std::string_view name) : graph_(graph), outer_(graph.scope_) {
  graph.scope_ = join(outer_, name);
}

Graph::Scope::~Scope() { graph_.scope_ = outer_; }

int count_ops(const Graph& graph, OpKind kind) {
  return static_cast<int>(std::ranges::count_if(graph.ops(), [kind](const Op& op) { return op.kind == kind; }));
}

}  // namespace convoy
