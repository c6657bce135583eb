#include "launch/train/device_inputs.h"

#include <cstring>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr std::size_t kAlignment = 256;

const Tensor& tensor_of(const MicroBatch& batch, const TaskInputs& inputs, Value value) {
  if (value == inputs.images) return batch.images;
  if (value == inputs.transforms) return batch.transforms;
  if (value == inputs.labels) return batch.labels;
  if (value == inputs.weights) return batch.weights;
  if (value == inputs.partner_labels) return batch.partner_labels;
  if (value == inputs.partner_weights) return batch.partner_weights;
  return batch.keys;
}

}  // namespace

DeviceInputs::DeviceInputs(const TrainingGraph& training, Device& device) : device_(device), inputs_(training.inputs) {
  for (Value value : {inputs_.images, inputs_.transforms, inputs_.labels, inputs_.weights, inputs_.keys,
                      inputs_.partner_labels, inputs_.partner_weights}) {
    if (!value.exists()) continue;
    const TensorDesc& desc = training.graph.info(value).desc;
    const std::size_t bytes = static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
    places_.push_back({value, take(bytes), bytes});
  }
  asked_ = take(kAsked * sizeof(float));
  leaf_ = take(sizeof(std::int32_t));
  for (Way& way : ways_)
    way = {device_.allocate_staging(bytes_), device_.allocate(bytes_), device_.make_event(), device_.make_event()};
  current_ = device_.allocate(bytes_);
}

std::size_t DeviceInputs::take(std::size_t bytes) {
  const std::size_t offset = bytes_;
  bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return offset;
}

void DeviceInputs::bind(Program& program) const {
  for (const Place& place : places_) program.bind_memory(place.value, current_.get() + place.offset);
}

const float* DeviceInputs::asked() const { return reinterpret_cast<const float*>(current_.get() + asked_); }
const std::int32_t* DeviceInputs::leaf() const { return reinterpret_cast<const std::int32_t*>(current_.get() + leaf_); }

void DeviceInputs::pack(std::byte* to, const MicroBatch& batch, std::int32_t leaf, const Requests& asked) const {
  for (const Place& place : places_) {
    const Tensor& tensor = tensor_of(batch, inputs_, place.value);
    if (tensor.size_bytes() != place.bytes) throw Error("a micro-batch of another shape than the program's");
    std::memcpy(to + place.offset, tensor.bytes(), place.bytes);
  }
  std::memcpy(to + asked_, asked.data(), sizeof asked);  // the other places stay zero
  std::memcpy(to + leaf_, &leaf, sizeof leaf);
}

void DeviceInputs::put(const MicroBatch& batch, std::int32_t leaf, const Requests& asked, DeviceWait wait) {
  Way& way = ways_[next_++ % ways_.size()];
  wait_until_done(device_, *way.landed, wait);
  pack(way.staging.get(), batch, leaf, asked);
  device_.wait(Stream::copy, *way.emptied);
  device_.copy(Stream::copy, way.landing.get(), way.staging.get(), bytes_);
  device_.record(Stream::copy, *way.landed);
  device_.wait(Stream::compute, *way.landed);
  device_.copy(Stream::compute, current_.get(), way.landing.get(), bytes_);
  device_.record(Stream::compute, *way.emptied);
}

}  // namespace convoy
