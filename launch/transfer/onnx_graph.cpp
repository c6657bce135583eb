#include "launch/transfer/onnx_graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace convoy {

std::string OnnxGraph::fresh(const std::string& like) {
  std::string name = like;
  for (int number = 2; !used_.insert(name).second; ++number) name = fmt::format("{}_{}", like, number);
  return name;
}

std::string OnnxGraph::output_name(Value output, const std::string& type) {
  if (output == inference_.logits) return fresh("logits");
  const int producer = graph().info(output).producer;
  return fresh(fmt::format("{}/{}", graph().ops()[static_cast<std::size_t>(producer)].layer, type));
}

void OnnxGraph::add(Value output, const std::string& type, std::vector<std::string> inputs,
                    std::map<std::string, OnnxAttribute> attributes) {
  set_name(output, output_name(output, type));
  model_.nodes.push_back({type, std::move(inputs), {name_of(output)}, std::move(attributes)});
}

std::string OnnxGraph::between(const Op& op, const std::string& type, std::vector<std::string> inputs,
                               std::map<std::string, OnnxAttribute> attributes) {
  const std::string name = fresh(fmt::format("{}/{}", op.layer, type));
  model_.nodes.push_back({type, std::move(inputs), {name}, std::move(attributes)});
  return name;
}

std::string OnnxGraph::constant(const std::string& name, Tensor tensor) {
  model_.constants.emplace_back(fresh(name), std::move(tensor));
  return model_.constants.back().first;
}

std::string OnnxGraph::integers(const std::string& name, const std::vector<std::int64_t>& values) {
  Tensor tensor(Shape{static_cast<std::int64_t>(values.size())}, DType::i64);
  std::copy(values.begin(), values.end(), tensor.values<std::int64_t>().begin());
  return constant(name, std::move(tensor));
}

std::string OnnxGraph::reals(const std::string& name, const std::vector<float>& values, Shape shape) {
  Tensor tensor(shape, DType::f32);
  std::copy(values.begin(), values.end(), tensor.values<float>().begin());
  return constant(name, std::move(tensor));
}

const Tensor& OnnxGraph::stored(Value value) const {
  const ValueInfo& info = graph().info(value);
  const auto& group = info.role == Role::parameter ? state_.parameters : info.role == Role::state ? state_.state : state_.constants;
  return group.at(info.name);
}

OnnxModel onnx_model(const InferenceGraph& inference, const ModelState& state, const Task& task) {
  OnnxGraph onnx(inference, state);
  onnx.set_name(inference.images, onnx.fresh("images"));
  for (const Op& op : inference.graph.ops()) convert_op(onnx, op);
  OnnxModel model = onnx.take();
  model.name = task.model;
  const Shape& image = inference.graph.shape(inference.prepared);
  std::vector<std::string> extents{"batch", std::to_string(image[-1])};
  for (int axis = 1; axis < image.rank() - 1; ++axis) extents.push_back(std::to_string(image[axis]));
  model.inputs = {{"images", extents}};
  model.outputs = {{"logits", {"batch", std::to_string(task.classes)}}};
  model.metadata = {{"convoy.model", task.model}, {"convoy.input", "values as stored; the normalisation is part of the graph"}};
  return model;
}

}  // namespace convoy
