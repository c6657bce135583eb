#pragma once
// The table of ops: for every kind its name, its output shapes, its cost and its gradient rule.
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ops/attributes.h"

namespace convoy {

class Graph;
struct Op;
struct Value;

enum class OpKind {
  prepare,
  conv, conv_backward_data, conv_backward_filters,
  dense, dense_backward_data, dense_backward_weights,
  pool, pool_backward,
  activation, activation_backward,
  batch_norm, batch_norm_inference, batch_norm_backward,
  batch_norm_moments, batch_norm_global, batch_norm_global_sums, batch_norm_global_backward,
  batch_sum,           // x of one micro-batch -> the sum over all of the batch
  local_response, local_response_backward,
  layer_norm, layer_norm_backward,
  resample, resample_backward,
  dropout,
  path_weights,
  scale_samples,       // x [n, ..], w [n]: x w, and 0 where w is 0, whatever x
  add,                 // two or more values of one shape
  multiply,            // two values of one shape
  add_channels,        // x, b [c]: b on every position
  multiply_channels,   // x, g [c]
  sum_to_channels,     // x -> [c]: sum over all other axes
  dot_to_channels,     // x, y -> [c]: sum over all other axes of x y
  concat,              // two or more values, along the last axis
  slice, pad_channels,
  reshape,
  softmax_cross_entropy, softmax_cross_entropy_backward,
  mean_squared, mean_squared_backward,
  binary_cross_entropy, binary_cross_entropy_backward,
  top_k,
  sum_weights,         // weights [n] -> [1]
  scatter_connections, gather_connections,
  cast,
  elementwise_chain,   // made by the fuse pass
  external,
  step_guard,
  squared_norms,       // tensors -> f64 [tensors]
  clip_norm, weight_update, running_update, average_update,
  count_               // number of kinds
};

/// What a kernel needs to know of an operand.
struct TensorDesc {
  Shape shape;
  DType dtype = DType::f32;
  bool operator==(const TensorDesc&) const = default;
};

/// Mixed precision: which real operands of a kind are data, which a program of narrow precision computes in bf16 or f16.
/// All the other real operands (biases, norms' parameters and statistics, gradients of parameters, losses, metrics,
/// updates) stay f32, and infer() expects so where it finds narrow data.
bool takes_narrow(OpKind kind, int input);
/// Operands that are double on every backend, and no gradient: the scalars of a step, and norms.
bool always_double(OpKind kind, const Attributes& attributes, int input);
/// Kinds that have such operands or results.
bool has_doubles(OpKind kind);
/// The type of real operands that stay wide beside data of type `data`: f32 beside bf16 and f16, else the same.
inline DType wide_beside(DType data) { return data == DType::bf16 || data == DType::f16 ? DType::f32 : data; }

/// Arithmetic and traffic of one run of an op.
struct Cost {
  double multiply_adds = 0;  // convolutions and dense layers; 0 for everything else, as the literature counts
  double bytes = 0;          // operands read and results written, each once
};

/// Handed to a gradient rule: appends backward ops to the graph and says which value is the gradient of which input.
/// Summing the gradients of a value used twice is the caller's business (differentiate), not the rule's.
class GradientContext {
 public:
  /// Keeps a copy of the op: the graph's own list of ops moves as rules append to it.
  GradientContext(Graph& graph, const Op& op, std::vector<Value> output_gradients, std::vector<bool> needed,
                  std::vector<Value>& input_gradients);
  Graph& graph() { return graph_; }
  const Op& op() const { return *op_; }
  Value input(int i) const;
  Value output(int i) const;
  /// Gradient of output i; an absent value (id -1) where nothing depends on it.
  Value dy(int i = 0) const;
  /// Whether anybody wants the gradient of input i.
  bool needs(int i) const { return needed_[static_cast<std::size_t>(i)]; }
  void set(int i, Value gradient);

 private:
  Graph& graph_;
  std::shared_ptr<const Op> op_;
  std::vector<Value> output_gradients_;
  std::vector<bool> needed_;
  std::vector<Value>& input_gradients_;
};

struct OpDef {
  OpKind kind;
  std::string_view name;
  /// Shapes and types of the outputs. Throws UsageError that says which attribute does not fit which input.
  std::vector<TensorDesc> (*infer)(const Attributes&, std::span<const TensorDesc> inputs);
  /// Null: bytes only.
  double (*multiply_adds)(const Attributes&, std::span<const TensorDesc> inputs, std::span<const TensorDesc> outputs);
  /// Null: nothing flows back through this kind. Kinds that must not be differentiated have a rule that throws.
  void (*gradient)(GradientContext&);
};

const OpDef& op_def(OpKind kind);
Cost cost_of(OpKind kind, const Attributes& attributes, std::span<const TensorDesc> inputs,
             std::span<const TensorDesc> outputs);

}  // namespace convoy
