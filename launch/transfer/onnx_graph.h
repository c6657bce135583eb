#pragma once
// A network as an ONNX graph. Activations are [n, c, s..] there, so filters, dense weights and channel vectors are in that
// order too; the batch is open, all other extents are the task's.
#include <map>
#include <set>
#include <string>

#include "core/models/training.h"
#include "io/onnx.h"
#include "launch/train/model_state.h"

namespace convoy {

/// Input "images" float32 [batch, c, s..], stored values of the crop that the network sees; output "logits" [batch, classes].
/// Throws UsageError that names the layer for an op that ONNX cannot express.
OnnxModel onnx_model(const InferenceGraph& inference, const ModelState& state, const Task& task);

/// A graph in the making: what the conversions of single ops (onnx_ops.cpp) write to.
class OnnxGraph {
 public:
  OnnxGraph(const InferenceGraph& inference, const ModelState& state) : inference_(inference), state_(state) {}
  const Graph& graph() const { return inference_.graph; }

  /// The name of a value that a node has made.
  const std::string& name_of(Value value) const { return names_.at(value.id); }
  void set_name(Value value, std::string name) { names_[value.id] = std::move(name); }
  /// A name like this one that no other value has.
  std::string fresh(const std::string& like);

  /// Appends a node that makes `output`.
  void add(Value output, const std::string& type, std::vector<std::string> inputs, std::map<std::string, OnnxAttribute> attributes = {});
  /// The same for a value that only the next nodes see; returns its name.
  std::string between(const Op& op, const std::string& type, std::vector<std::string> inputs,
                      std::map<std::string, OnnxAttribute> attributes = {});

  std::string constant(const std::string& name, Tensor tensor);
  std::string integers(const std::string& name, const std::vector<std::int64_t>& values);
  std::string reals(const std::string& name, const std::vector<float>& values, Shape shape);

  /// A parameter, state or constant of the network in its own layout.
  const Tensor& stored(Value value) const;

  OnnxModel take() { return std::move(model_); }

 private:
  std::string output_name(Value output, const std::string& type);

  const InferenceGraph& inference_;
  const ModelState& state_;
  std::map<int, std::string> names_;
  std::set<std::string> used_;
  OnnxModel model_;
};

/// Appends what an op of an inference graph computes. Throws UsageError where ONNX has no form for it.
void convert_op(OnnxGraph& onnx, const Op& op);

}  // namespace convoy
