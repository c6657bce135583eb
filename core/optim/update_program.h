#pragma once
// The update program (design: section 3): finish the reduction, decide whether the step is applied, then the optimizer and
// the batch-norm state, once a step, on the reduced gradient.
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "core/graph/passes.h"

namespace convoy {

struct SgdOptions {
  double momentum = 0.9;
  bool nesterov = false;
  double decay = 0;
  bool decay_biases = false;       // weight decay on biases and norms too
};

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
  struct Parameter {
    std::string name;
    Value weight, velocity, gradient;
    Value copy;                    // the weight in the compute type, which the update writes; absent in f32
    Value source_gradient;         // leaf of the micro-batch graph
  };
  struct Statistic {
    std::string name;
    Value running, sum;
    Value source_sample;           // leaf of the micro-batch graph
  };
  std::vector<Parameter> parameters;
  std::vector<Statistic> statistics;
};

UpdateGraph build_update_graph(const Graph& micro_batch, const std::vector<ParameterGradient>& gradients,
                               const SgdOptions& options, std::int64_t micro_batches, const GuardOptions& guard);

}  // namespace convoy
