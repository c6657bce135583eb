// Mixed precision (Micikevicius et al. 2018, "Mixed precision training", sections 3.1 to 3.3): data and the weights that
// meet them in a 16-bit type; parameters, their gradients, norms' statistics and losses in f32.
#include <map>
#include <set>
#include <utility>

#include "core/graph/passes.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

bool is_layer(OpKind kind) {
  switch (kind) {
    case OpKind::conv:
    case OpKind::conv_backward_data:
    case OpKind::conv_backward_filters:
    case OpKind::dense:
    case OpKind::dense_backward_data:
    case OpKind::dense_backward_weights:
      return true;
    default:
      return false;
  }
}

bool is_loss_gradient(OpKind kind) {
  return kind == OpKind::softmax_cross_entropy_backward || kind == OpKind::mean_squared_backward ||
         kind == OpKind::binary_cross_entropy_backward;
}

/// Kinds whose operands have the types that they have: images as stored, whatever is cast, what a callback may read.
bool takes_any_type(OpKind kind) {
  return kind == OpKind::prepare || kind == OpKind::cast || kind == OpKind::external;
}

class Lowering {
 public:
  Lowering(Graph& graph, DType compute, const std::vector<Value>& wide) : graph_(graph), compute_(compute) {
    for (Value value : wide) wide_.insert(value.id);
  }

  void run() {
    std::vector<Op> ops = std::exchange(graph_.ops(), {});
    for (Op& op : ops) lower(std::move(op));
  }

 private:
  Graph& graph_;
  DType compute_;
  std::set<int> wide_;
  std::map<std::pair<int, DType>, Value> casts_;  // of (value, type)

  DType type_of(Value value) const { return graph_.info(value).desc.dtype; }

  /// Layers compute in the narrow type, whatever comes in. Ops that are bound by memory follow their operands: what is
  /// still f32 (the gradient of the logits, sums of parameters' gradients) stays so until a layer or narrow data meet it.
  DType data_type(const Op& op) const {
    if (is_layer(op.kind)) return compute_;
    for (int i = 0; i < static_cast<int>(op.inputs.size()); ++i)
      if (takes_narrow(op.kind, i) && type_of(op.inputs[static_cast<std::size_t>(i)]) == compute_) return compute_;
    return graph_.real();
  }

  void append(Op op) {
    for (Value output : op.outputs) graph_.info(output).producer = static_cast<int>(graph_.ops().size());
    graph_.ops().push_back(std::move(op));
  }

  /// The same numbers in another type: the value itself, a copy of a parameter, or what a cast makes, once for all readers.
  Value in_type(Value value, DType type, const std::string& layer) {
    if (type_of(value) == type) return value;
    const auto key = std::pair(value.id, type);
    if (const auto made = casts_.find(key); made != casts_.end()) return made->second;
    const Role role = graph_.info(value).role;
    Value result;
    if (type == compute_ && (role == Role::parameter || role == Role::constant)) {
      result = graph_.add_copy(value, type);
    } else {
      result = graph_.add_result({graph_.shape(value), type}, role == Role::gradient ? role : Role::activation);
      append({OpKind::cast, CastAttributes{type}, {value}, {result}, layer});
    }
    return casts_.emplace(key, result).first->second;
  }

  Value loss_scale() {
    const Value found = graph_.find("loss_scale");
    return found.exists() ? found : graph_.add_input("loss_scale", {1}, graph_.real());
  }

  void lower(Op op) {
    if (op.kind == OpKind::prepare) std::get<PrepareAttributes>(op.attributes).output = compute_;
    if (is_loss_gradient(op.kind) && compute_ == DType::f16) op.inputs.push_back(loss_scale());
    const DType data = data_type(op);
    std::vector<TensorDesc> operands;
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      Value& input = op.inputs[i];
      if (is_floating(type_of(input)) && !takes_any_type(op.kind))
        input = in_type(input, takes_narrow(op.kind, static_cast<int>(i)) ? data : graph_.real(), op.layer);
      operands.push_back(graph_.info(input).desc);
    }
    const std::vector<TensorDesc> results = op_def(op.kind).infer(op.attributes, operands);
    std::vector<std::pair<Value, Value>> widened;  // (what the op makes, what is to be f32)
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Value output = op.outputs[i];
      if (wide_.contains(output.id) && results[i].dtype == compute_) {
        op.outputs[i] = graph_.add_result(results[i], graph_.info(output).role);
        widened.emplace_back(op.outputs[i], output);
      } else {
        graph_.info(output).desc = results[i];
      }
    }
    const std::string layer = op.layer;
    append(std::move(op));
    for (const auto& [narrow, output] : widened)
      append({OpKind::cast, CastAttributes{graph_.real()}, {narrow}, {output}, layer});
  }
};

}  // namespace

void lower_precision(Graph& graph, DType compute, const std::vector<Value>& wide) {
  if (compute == graph.real()) return;
  if (graph.real() != DType::f32 || wide_beside(compute) == compute)
    throw Error("a graph of " + std::string(name_of(graph.real())) + " cannot be computed in " +
                std::string(name_of(compute)) + ": mixed precision is f32 beside bf16 or f16");
  Lowering(graph, compute, wide).run();
}

}  // namespace convoy
