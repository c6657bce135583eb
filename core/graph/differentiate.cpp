// Reverse-mode differentiation on the graph (Griewank & Walther 2008, chapter 3): walks the ops backwards from the
// loss; each op's rule appends backward ops; a value used by several ops gets the sum of its gradients.
#include <algorithm>
#include <map>

#include "core/graph/passes.h"
#include "core/tensor/error.h"

namespace convoy {

namespace {

/// Values through which a parameter that is trained reaches something: only these need gradients.
std::vector<bool> depends_on_parameters(const Graph& graph) {
  std::vector<bool> depends(graph.values().size(), false);
  for (Value parameter : graph.with_role(Role::parameter))
    depends[static_cast<std::size_t>(parameter.id)] = !graph.info(parameter).parameter.frozen;
  for (const Op& op : graph.ops()) {
    if (!op_def(op.kind).gradient) continue;
    bool any = false;
    for (Value input : op.inputs) any = any || depends[static_cast<std::size_t>(input.id)];
    for (Value output : op.outputs) depends[static_cast<std::size_t>(output.id)] = any;
  }
  return depends;
}

/// Gradients that have arrived for each value; their sum is formed once, when the walk reaches the value.
class Contributions {
 public:
  explicit Contributions(Graph& graph) : graph_(graph) {}
  void add(Value value, Value gradient) { parts_[value.id].push_back(gradient); }
  /// The gradient of a value: absent if nothing arrived. In the order of arrival, which the graph fixes.
  Value sum(Value value) {
    const auto entry = parts_.find(value.id);
    if (entry == parts_.end()) return {};
    if (entry->second.size() > 1)
      entry->second = {graph_.add(OpKind::add, {}, entry->second, Role::gradient)};
    return entry->second.front();
  }

 private:
  Graph& graph_;
  std::map<int, std::vector<Value>> parts_;
};

void differentiate_op(Graph& graph, int index, const std::vector<Value>& losses, const std::vector<bool>& depends,
                      Contributions& gradients) {
  const Op op = graph.ops()[static_cast<std::size_t>(index)];  // a copy: the rule grows the list
  std::vector<Value> output_gradients;
  bool any = false;
  for (Value output : op.outputs) {
    output_gradients.push_back(gradients.sum(output));
    any = any || output_gradients.back().exists() || std::find(losses.begin(), losses.end(), output) != losses.end();
  }
  std::vector<bool> needed;
  bool wanted = false;
  for (Value input : op.inputs) {
    needed.push_back(depends[static_cast<std::size_t>(input.id)]);
    wanted = wanted || needed.back();
  }
  if (!any || !wanted) return;
  Graph::Scope scope(graph, op.layer.empty() ? op_def(op.kind).name : std::string_view(op.layer));
  std::vector<Value> input_gradients(op.inputs.size());
  GradientContext context(graph, op, output_gradients, needed, input_gradients);
  op_def(op.kind).gradient(context);
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    if (needed[i] && input_gradients[i].exists()) gradients.add(op.inputs[i], input_gradients[i]);
}

}  // namespace

std::vector<ParameterGradient> differentiate(Graph& graph, Value loss) {
  return differentiate(graph, std::vector<Value>{loss});
}

std::vector<ParameterGradient> differentiate(Graph& graph, const std::vector<Value>& losses) {
  for (Value loss : losses)
    if (graph.shape(loss).elements() != 1)
      throw UsageError("only a single number can be differentiated, but the loss has the shape " +
                       graph.shape(loss).str());
  const std::vector<bool> depends = depends_on_parameters(graph);
  const int forward_ops = static_cast<int>(graph.ops().size());
  Contributions gradients(graph);
  for (int index = forward_ops - 1; index >= 0; --index) differentiate_op(graph, index, losses, depends, gradients);
  std::vector<ParameterGradient> result;
  for (Value parameter : graph.with_role(Role::parameter)) {
    const Value gradient = gradients.sum(parameter);
    if (gradient.exists()) result.push_back({parameter, gradient});
  }
  return result;
}

}  // namespace convoy
