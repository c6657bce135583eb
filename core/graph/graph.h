#pragma once
// A model as data: SSA values and the ops that make them. Nobody executes while building. A value's shape is inferred
// when its op is added, so that a wrong attribute is reported with the layer's name.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/ops/op.h"
#include "core/tensor/tensor.h"

namespace convoy {

enum class Role {
  input,
  parameter,
  state,
  constant,
  activation,
  gradient,
  copy  // a parameter or constant rounded to the compute type: memory of the caller's, named like what it is a copy of
};

/// A handle into one graph.
struct Value {
  int id = -1;
  bool exists() const { return id >= 0; }
  friend bool operator==(Value, Value) = default;
};

/// How a parameter, state or constant gets its first values (computed on one rank's CPU and broadcast).
struct Initializer {
  enum class Kind {
    constant,    // value
    gaussian,    // N(0, value^2)
    uniform,     // [-value, value)
    he_normal,   // N(0, 2 / fan_in)           (He et al. 2015)
    fan_in_uniform,  // [-value / fan_in, value / fan_in)   (LeCun et al. 1998: value = 2.4)
    xavier_uniform,  // +-sqrt(6 / (fan_in + fan_out))      (Glorot & Bengio 2010)
    signs,       // -1 or +1 (the fixed codes of LeNet-5's output layer)
    xavier_normal,   // N(0, 2 / (fan_in + fan_out))
    he_uniform,      // +-sqrt(6 / fan_in)
    he_normal_fan_out,  // N(0, 2 / fan_out)
    orthogonal   // value times rows, or columns, that are orthonormal: QR of a Gaussian matrix [first extent, all others]
  };
  Kind kind = Kind::constant;
  double value = 0;
  bool operator==(const Initializer&) const = default;
};

/// What only parameters, states and constants have.
struct ParameterInfo {
  Initializer initializer;
  std::int64_t fan_in = 1;
  std::int64_t fan_out = 1;
  bool decay = true;               // weight decay applies (not to biases and norms)
  bool frozen = false;             // its layer is frozen: no gradient, no update
};

struct ValueInfo {
  std::string name;                // "conv1/filters"; unique for parameters, states and inputs
  TensorDesc desc;
  Role role = Role::activation;
  int producer = -1;               // op that makes it; -1 for inputs, parameters, ...
  ParameterInfo parameter;
};

struct Op {
  OpKind kind;
  Attributes attributes;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::string layer;               // the layer that it belongs to, "stage2/block1/conv1"
  template <typename A>
  const A& as() const { return std::get<A>(attributes); }
};

/// A statistic that a layer hands to the update program: running = blend(running, sum over micro-batches).
struct RunningStatistic {
  Value running;                   // role state
  Value sample;                    // this micro-batch's statistic
};

/// Logits beside the model's own, whose loss counts with a weight while training (Szegedy et al. 2015, section 5).
struct AuxiliaryLogits {
  Value logits;                    // [n, classes]
  double weight = 1;
};

class Graph {
 public:
  /// `real` is the type of all real values: f32, or f64 for the reference backend.
  explicit Graph(DType real = DType::f32) : real_(real) {}

  DType real() const { return real_; }
  Value add_input(std::string name, Shape shape, DType dtype);
  Value add_parameter(std::string name, Shape shape, ParameterInfo info);
  Value add_state(std::string name, Shape shape, Initializer initializer);
  Value add_constant(std::string name, Shape shape, ParameterInfo info);
  /// Of a parameter or constant. find() does not see it; copy_of does.
  Value add_copy(Value of, DType dtype);
  /// A value whose op is added by hand (passes).
  Value add_result(TensorDesc desc, Role role);

  /// Adds an op whose outputs' shapes come from op_def(kind).infer. Errors name the layer.
  std::vector<Value> add_op(OpKind kind, Attributes attributes, std::vector<Value> inputs,
                            Role role = Role::activation);
  /// The same for ops of one output.
  Value add(OpKind kind, Attributes attributes, std::vector<Value> inputs, Role role = Role::activation);

  const std::vector<ValueInfo>& values() const { return values_; }
  const std::vector<Op>& ops() const { return ops_; }
  std::vector<Op>& ops() { return ops_; }
  const ValueInfo& info(Value value) const { return values_.at(static_cast<std::size_t>(value.id)); }
  ValueInfo& info(Value value) { return values_.at(static_cast<std::size_t>(value.id)); }
  const Shape& shape(Value value) const { return info(value).desc.shape; }

  /// Values of a role, in the order in which they were added.
  std::vector<Value> with_role(Role role) const;
  /// The input, parameter or state of that name; absent if there is none.
  Value find(std::string_view name) const;
  /// The copy of a parameter or constant; absent if there is none.
  Value copy_of(std::string_view name) const;

  std::vector<RunningStatistic>& running_statistics() { return running_; }
  const std::vector<RunningStatistic>& running_statistics() const { return running_; }

  /// Whether the graph is built for training (dropout and batch statistics) or for inference.
  bool training = true;
  std::uint64_t dropout_seed = 0;
  /// Patterns of the names of layers that are not trained (layer_names.h). To be set before the layers are added: their
  /// parameters have no gradient, and their batch normalisations use the running statistics, which stay as they are.
  std::vector<std::string> frozen;
  /// Batch normalisation while training: 0 over the micro-batch; else over the whole batch of that many micro-batches.
  std::int64_t normalised_micro_batches = 0;

  /// Auxiliary heads, in their order; models add them to graphs for training alone.
  std::vector<AuxiliaryLogits> auxiliary;
  /// Scopes of the layers that graphs for training alone have; models list them in graphs for inference.
  std::vector<std::string> training_only;

  /// What each dense layer was given for one sample, [s.., c] or [features], by the layer's name: written by dense().
  std::map<std::string, Shape, std::less<>> dense_inputs;
  /// Set with `dense_inputs` of the graph at the extents that were trained: dense layers become convolutions whose kernels
  /// have those extents, so that larger images give a map of logits (Sermanet et al. 2014, "OverFeat", section 3.5).
  bool fully_convolutional = false;

  /// Names: layers made within a scope are called "outer/inner/name".
  class Scope {
   public:
    Scope(Graph& graph, std::string_view name);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Graph& graph_;
    std::string outer_;
  };
  const std::string& scope() const { return scope_; }

 private:
  DType real_;
  std::vector<ValueInfo> values_;
  std::vector<Op> ops_;
  std::map<std::string, int, std::less<>> names_;
  std::vector<RunningStatistic> running_;
  std::string scope_;

  Value add_named(std::string name, TensorDesc desc, Role role, ParameterInfo info);
};

/// Ops of a kind.
int count_ops(const Graph& graph, OpKind kind);

/// SHA-256 (hex) over kinds, attributes, shapes and names: two graphs with one hash compute the same thing. External
/// ops do not count: they compute nothing.
std::string graph_hash(const Graph& graph);

}  // namespace convoy
