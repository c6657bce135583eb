#include "launch/train/device_results.h"

#include <cstring>

namespace convoy {
namespace {

// Offsets in bytes.
constexpr std::size_t kMetrics = 0;                            // f32 [4]
constexpr std::size_t kRequests = 4 * sizeof(float);           // f32 [kAsked]
constexpr std::size_t kScalars = 256;                          // f64 [kStepScalars]
constexpr std::size_t kBytes = kScalars + kStepScalars * sizeof(double);
static_assert(kRequests + kAsked * sizeof(float) <= kScalars);

}  // namespace

DeviceResults::DeviceResults(const TrainingGraph& training, Device& device, double* scalars)
    : device_(device), scalars_(scalars) {
  const Value metrics[] = {training.loss, training.weight, training.top1, training.top5};
  for (std::size_t i = 0; i < metrics_.size(); ++i) metrics_[i] = training.buckets.slot_of(metrics[i]);
  asked_ = {.value = {}, .bucket = training.buckets.buckets() - 1, .offset = training.buckets.elements.back()};
  gathered_ = device_.allocate(kBytes);
  for (Way& way : ways_)
    way = {device_.allocate_staging(kBytes), device_.allocate_staging(kHostScalars * sizeof(double)), device_.make_event()};
}

void DeviceResults::gather(const std::vector<float*>& roots) {
  const auto copy = [&](std::size_t to, const LeafSlot& slot, std::size_t floats) {
    device_.copy(Stream::compute, gathered_.get() + to, roots[static_cast<std::size_t>(slot.bucket)] + slot.offset,
                 floats * sizeof(float));
  };
  for (std::size_t i = 0; i < metrics_.size(); ++i) copy(kMetrics + i * sizeof(float), metrics_[i], 1);
  copy(kRequests, asked_, kAsked);
  device_.copy(Stream::compute, gathered_.get() + kScalars, scalars_, kStepScalars * sizeof(double));
}

void DeviceResults::send(std::size_t way) {
  device_.copy(Stream::compute, ways_[way].staging.get(), gathered_.get(), kBytes);
  device_.record(Stream::compute, *ways_[way].sent);
}

std::array<double, kStepScalars> DeviceResults::read(std::size_t way, StepResult& result) const {
  const std::byte* from = ways_[way].staging.get();
  std::array<float, 4> metrics;
  std::array<float, kAsked> asked;
  std::array<double, kStepScalars> scalars;
  std::memcpy(metrics.data(), from + kMetrics, sizeof metrics);
  std::memcpy(asked.data(), from + kRequests, sizeof asked);
  std::memcpy(scalars.data(), from + kScalars, sizeof scalars);
  result.loss = static_cast<double>(metrics[0]);
  result.weight = static_cast<double>(metrics[1]);
  result.top1 = static_cast<double>(metrics[2]);
  result.top5 = static_cast<double>(metrics[3]);
  result.asked = {asked[kAskCheckpoint], asked[kAskStop]};
  result.finite = scalars[kFinite] != 0;
  result.applied = scalars[kApply] != 0;
  result.halted = scalars[kHalted] != 0;
  return scalars;
}

void DeviceResults::order(std::size_t way, const StepOrder& order) {
  const std::array<double, kHostScalars> numbers{order.rate, order.wanted ? 1.0 : 0.0};
  static_assert(kLearningRate == 0 && kWanted == 1 && kHostScalars == 2);
  std::memcpy(ways_[way].orders.get(), numbers.data(), sizeof numbers);
  device_.copy(Stream::compute, scalars_, ways_[way].orders.get(), sizeof numbers);
}

}  // namespace convoy
