#pragma once
// The parameters of a model as one array of floats, in the order of its update program, so that they can be cut into slices of
// equal bytes; and what a push is made of.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/models/training.h"
#include "core/optim/update_program.h"

namespace convoy {

/// What a push holds behind its gradients and statistics: sums over its samples. Every slice has them.
enum PushScalar { kPushWeight, kPushLoss, kPushTop1, kPushTop5, kPushScalars };

struct FlatLayout {
  struct Part {
    std::string name;
    Value leaf;                    // of the micro-batch graph: the gradient, or the statistic of a micro-batch
    std::int64_t begin = 0, end = 0;
  };
  std::vector<Part> parameters;    // that are trained
  std::vector<Part> statistics;    // running statistics; they belong to server 0
  std::int64_t parameter_count = 0, statistic_count = 0;
};

FlatLayout flat_layout(const TrainingGraph& training, const UpdateGraph& update);

/// Floats [begin, end) of all parameters that server `server` of `servers` owns.
struct SliceRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t statistics = 0;     // of the model that it keeps besides: all of them, or none
  std::int64_t parameters() const { return end - begin; }
  std::int64_t leaf() const { return parameters() + statistics + kPushScalars; }
};
SliceRange slice_range(const FlatLayout& layout, int server, int servers);

/// Copies floats [begin, end) of the parts, whose tensors are named like them with `prefix`, from or to `flat`.
using TensorMap = std::map<std::string, Tensor>;
void gather(const std::vector<FlatLayout::Part>& parts, const TensorMap& tensors, const std::string& prefix, std::int64_t begin,
            std::int64_t end, float* flat);
void scatter(const std::vector<FlatLayout::Part>& parts, TensorMap& tensors, const std::string& prefix, std::int64_t begin,
             std::int64_t end, const float* flat);

/// Tensors of their own, with the same values.
TensorMap clone(const TensorMap& tensors);

}  // namespace convoy
