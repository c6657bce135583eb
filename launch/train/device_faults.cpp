// The device engine and numbers that are not finite: looked for op by op, or made on purpose. Nothing of it is captured.
#include "core/tensor/error.h"
#include "launch/train/device_engine.h"

namespace convoy {

bool DeviceEngine::is_poisoned(const MicroBatch& batch) const {
  if (!options_.poison) return false;
  const auto keys = batch.keys.values<std::uint64_t>();
  bool any = false;
  for (std::size_t row = 0; row < keys.size() / 2; ++row)
    any = options_.poison(static_cast<std::int64_t>(keys[2 * row + 1])) || any;
  return any;
}

void DeviceEngine::poison(const MicroBatch& batch, Value prepared) {
  const TensorDesc& desc = training_.graph.info(prepared).desc;
  const std::int64_t each = desc.shape.elements() / desc.shape[0];
  const std::size_t row_bytes = static_cast<std::size_t>(each) * size_of(desc.dtype);
  if (!nan_row_) {
    nan_row_ = device_.allocate_staging(row_bytes);
    fill_with_nan(nan_row_.get(), each, desc.dtype);
  }
  const auto keys = batch.keys.values<std::uint64_t>();
  for (std::size_t row = 0; row < static_cast<std::size_t>(desc.shape[0]); ++row)
    if (options_.poison(static_cast<std::int64_t>(keys[2 * row + 1])))
      device_.copy(Stream::compute, program_.data<std::byte>(prepared) + row * row_bytes, nan_row_.get(), row_bytes);
}

/// Brings what an op wrote to the host, and looks.
std::optional<NotFinite> DeviceEngine::look_at(Value value, const MicroBatch& batch) {
  const TensorDesc& desc = training_.graph.info(value).desc;
  if (!is_floating(desc.dtype)) return std::nullopt;
  Tensor seen(desc.shape, desc.dtype);
  device_.copy(Stream::compute, seen.bytes(), program_.memory(value), seen.size_bytes());
  device_.synchronize(Stream::compute);
  return not_finite_in(training_.graph, value, seen.bytes(), batch);
}

std::vector<NotFinite> DeviceEngine::replay(std::int64_t step, Loader& loader) {
  std::vector<NotFinite> found;
  for (int leaf = options_.first_leaf; leaf < options_.last_leaf; ++leaf) {
    const std::shared_ptr<MicroBatch> batch = loader.next(step, leaf);
    inputs_.put(*batch, leaf - options_.first_leaf, {},
                waiting("the samples before the last", step, trace::Activity::compute));
    program_.set_observer([&](int index, std::span<const Value> written) {
      const Op& op = training_.graph.ops()[static_cast<std::size_t>(index)];
      if (options_.poison && op.kind == OpKind::prepare) poison(*batch, op.outputs.front());
      for (Value value : written) {
        auto bad = look_at(value, *batch);
        if (!bad) continue;
        bad->leaf = leaf;
        bad->op = op_def(op.kind).name;
        bad->layer = op.layer;
        found.push_back(std::move(*bad));
        return false;
      }
      return true;
    });
    program_.run();
  }
  program_.set_observer(nullptr);
  return found;
}

}  // namespace convoy
