#pragma once
// The optimizer of one server: the update program of the whole model, built for the pieces of tensors that lie in its slice.
// All rules that look at one element at a time have the same bits on any number of servers.
#include <memory>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "distributed/server/parameter_server.h"
#include "launch/train/async/flat_layout.h"
#include "launch/train/model_state.h"

namespace convoy {

struct SliceOptions {
  OptimizerOptions optimizer;
  std::int64_t micro_batches = 1;  // summed in one update: 1, or V where a whole step is applied at once
  double compensation = 0;         // lambda of delay compensation; 0: none
};

class SliceOptimizer final : public Slice {
 public:
  /// Begins with what `state` holds.
  SliceOptimizer(const TrainingGraph& training, const FlatLayout& layout, const SliceRange& range, const SliceOptions& options,
                 const Backend& backend, const ModelState& state, std::int64_t updates);

  std::size_t parameters() const override { return static_cast<std::size_t>(range_.parameters()); }
  std::size_t leaf() const override { return static_cast<std::size_t>(range_.leaf()); }
  const float* values() const override { return values_.values<float>().data(); }
  void apply(const Update& update, float* sum, const float* pulled) override;
  std::size_t state() const override;
  void write_state(float* to) const override;
  std::int64_t updates() const;
  std::size_t memory_bytes() const;

 private:
  void build(const FlatLayout& layout, const Backend& backend);
  void bind_leaf(float* sum);
  std::vector<const Tensor*> kept() const;

  SliceRange range_;
  SliceOptions options_;
  UpdateGraph update_;
  Tensor values_, statistics_, average_, statistics_average_;
  std::vector<Tensor> slots_;
  Tensor scalars_;
  std::unique_ptr<Program> program_;
  float* bound_ = nullptr;         // the sum that the program reads
};

/// What a slice wrote (Slice::write_state) put into the tensors of the whole model.
void put_state(const FlatLayout& layout, const SliceRange& range, const OptimizerOptions& optimizer, const float* from,
               ModelState& state);

}  // namespace convoy
