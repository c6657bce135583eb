#pragma once
// The update program (design: section 3): finish the reduction, decide whether the step is applied, then the optimizer and
// the batch-norm state, once a step, on the reduced gradient.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/graph.h"
#include "core/graph/passes.h"

namespace convoy {

/// What a run keeps besides the last weights: of parameters and of batch normalisation's running statistics, which are averaged
/// by the same rule (as the code of Szegedy et al. 2016 does), so that they belong to the averaged weights and no pass over the
/// data is needed afterwards.
enum class AverageKind { none, polyak, ema };

struct OptimizerOptions {
  Optimizer rule = Optimizer::sgd;
  double momentum = 0.9;
  bool nesterov = false;
  double decay = 0;
  bool decay_biases = false;       // weight decay on biases and norms too
  bool decoupled = false;          // adamw
  double beta1 = 0.9, beta2 = 0.999, rho = 0.9, epsilon = 1e-8, trust = 0.001;
  double clip_norm = 0;            // of all gradients together; 0: none
  double clip_value = 0;           // 0: none
  std::map<std::string, double> rate_factors = {};  // by parameter; 1 for others
  AverageKind average = AverageKind::none;
  double average_decay = 0;        // ema
  std::int64_t average_from = 0;   // polyak: updates that do not count
};

/// Of what the rule keeps for a parameter, in the order of its operands: a slot is called "momentum/conv1/filters".
std::vector<std::string_view> slot_names(Optimizer rule);

/// "sgd", "rmsprop", "adam", "adagrad", "lars"; adamw is adam with a decoupled decay.
std::string_view name_of(Optimizer rule);

/// All that was reduced, as the op step_guard looks at it.
struct GuardOptions {
  std::vector<std::int64_t> bucket_elements;
  GuardAttributes guard;
};

/// What the update graph is made from: the values of the micro-batch graph and where their sums lie.
struct UpdateGraph {
  Graph graph;
  Value scalars;                   // f64 [kStepScalars]
  Value weight;                    // [1]: sum of the sample weights, a leaf of the micro-batch graph
  std::vector<Value> buckets;      // [elements] each
  struct Slot {
    std::string name;              // "momentum/conv1/filters"
    Value value;
  };
  struct Parameter {
    std::string name;
    Value weight, gradient;
    std::vector<Slot> slots;       // by the order of Optimizer
    Value copy;                    // the weight in the compute type, which the update writes; absent in f32
    Value source_gradient;         // leaf of the micro-batch graph
  };
  struct Statistic {
    std::string name;
    Value running, sum;
    Value source_sample;           // leaf of the micro-batch graph
  };
  struct Average {
    std::string name;              // of the parameter or state
    Value average, value;
  };
  std::vector<Parameter> parameters;
  std::vector<Statistic> statistics;
  std::vector<Average> averages;
};

/// lars adapts the parameters that decay alone: biases and norms have the plain rate, as in the paper's practice.
UpdateGraph build_update_graph(const Graph& micro_batch, const std::vector<ParameterGradient>& gradients,
                               const OptimizerOptions& options, std::int64_t micro_batches, const GuardOptions& guard);

}  // namespace convoy
