// The device reduction through the host: device -> staging -> the hosts' exchange -> staging -> device. While the host
// exchanges one bucket, the device computes the next.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/device_reduction.h"
#include "distributed/device_wait.h"
#include "distributed/exchange.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A world of one: its only subtree is the tree.
class LoneReduction final : public DeviceReduction {
 public:
  explicit LoneReduction(const DeviceReductionOptions& options) : options_(options) {}
  bool can_be_captured() const override { return true; }
  float* result(int bucket) const override { return options_.buckets[static_cast<std::size_t>(bucket)].sums.front(); }
  void begin(std::int64_t step) override {
    if (options_.before_exchange) options_.before_exchange(step);
  }
  void bucket_ready(int) override {}
  void finish() override {}
  void check() override {}
  double exposed_seconds() const override { return 0; }
  double communication_seconds() const override { return 0; }
  std::size_t memory_bytes() const override { return 0; }

 private:
  DeviceReductionOptions options_;
};

class StagedReduction final : public DeviceReduction {
 public:
  StagedReduction(std::unique_ptr<Communicator> communicator, Device& device, const DeviceReductionOptions& options)
      : communicator_(std::move(communicator)), device_(device), before_exchange_(options.before_exchange) {
    LargestBuckets largest;
    for (const DeviceBucket& bucket : options.buckets) {
      buckets_.push_back({.on_device = bucket, .name = fmt::format("gradient bucket {}", buckets_.size())});
      Bucket& made = buckets_.back();
      for (std::size_t i = 0; i < bucket.sums.size(); ++i) {
        made.memory.push_back(device_.allocate_staging(bucket.elements * sizeof(float)));
        made.staged.push_back(reinterpret_cast<float*>(made.memory.back().get()));
      }
      made.complete = device_.make_event();
      made.arrived = device_.make_event();
      largest.elements = std::max(largest.elements, bucket.elements);
      if (bucket.rounding != SumRounding::none) largest.rounded = std::max(largest.rounded, bucket.elements);
    }
    returned_ = device_.make_event();
    exchange_ = make_exchange(*communicator_, options.kind, options.virtual_workers, largest);
  }

  bool can_be_captured() const override { return false; }
  float* result(int bucket) const override { return at(bucket).on_device.sums.front(); }

  void begin(std::int64_t step) override {
    if (failed_) throw Error(fmt::format("step {} began after the reduction had failed", step));
    step_ = step;
    ready_ = 0;
  }

  void bucket_ready(int bucket) override {
    if (bucket != ready_++) throw Error(fmt::format("gradient bucket {} of step {} came out of turn", bucket, step_));
    const Bucket& to = at(bucket);
    device_.record(Stream::compute, *to.complete);
    device_.wait(Stream::communication, *to.complete);
    for (std::size_t i = 0; i < to.staged.size(); ++i)
      device_.copy(Stream::communication, to.staged[i], to.on_device.sums[i], to.on_device.elements * sizeof(float));
    device_.record(Stream::communication, *to.arrived);
  }

  void finish() override {
    if (ready_ != static_cast<int>(buckets_.size()))
      throw Error(fmt::format("step {}: {} of {} gradient buckets were handed in", step_, ready_, buckets_.size()));
    failed_ = true;  // unless all goes well
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) exchange(buckets_[bucket], static_cast<int>(bucket));
    device_.record(Stream::communication, *returned_);
    device_.wait(Stream::compute, *returned_);
    failed_ = false;
  }

  void check() override {}
  double exposed_seconds() const override { return exposed_seconds_; }
  double communication_seconds() const override { return communication_seconds_; }
  std::int64_t arrival_ns() const override { return arrival_ns_; }
  std::size_t memory_bytes() const override { return 0; }

 private:
  struct Bucket {
    DeviceBucket on_device;
    std::string name;
    std::vector<DeviceMemory> memory = {};
    std::vector<float*> staged = {};
    std::unique_ptr<Event> complete = nullptr, arrived = nullptr;
  };
  const Bucket& at(int bucket) const { return buckets_.at(static_cast<std::size_t>(bucket)); }

  void exchange(const Bucket& bucket, int number) {
    wait_until_done(device_, *bucket.arrived, {.what = bucket.name, .step = step_, .deadline = communicator_->deadline()});
    const bool is_last = number + 1 == static_cast<int>(buckets_.size());
    if (is_last) arrival_ns_ = trace::now();
    const bool device_is_idle = is_last || device_.done(*buckets_.back().arrived);
    const Clock::time_point start = Clock::now();
    const std::size_t bytes = bucket.on_device.elements * sizeof(float);
    if (before_exchange_) before_exchange_(step_);
    communicator_->at(bucket.name, step_);
    const trace::Doing exchanging(trace::Activity::exchange, bucket.name, static_cast<std::int64_t>(bytes));
    const float* root = exchange_->run(bucket.staged, bucket.on_device.elements, bucket.on_device.rounding, number);
    device_.copy(Stream::communication, bucket.on_device.sums.front(), root, bytes);
    const double seconds = seconds_since(start);
    communication_seconds_ += seconds;
    if (device_is_idle) exposed_seconds_ += seconds;
  }

  std::unique_ptr<Communicator> communicator_;
  Device& device_;
  const std::function<void(std::int64_t)> before_exchange_;
  std::vector<Bucket> buckets_;
  std::unique_ptr<Event> returned_;
  std::unique_ptr<Exchange> exchange_;
  std::int64_t step_ = -1;
  int ready_ = 0;
  bool failed_ = false;
  std::int64_t arrival_ns_ = -1;
  double exposed_seconds_ = 0, communication_seconds_ = 0;
};

}  // namespace

std::unique_ptr<DeviceReduction> make_staged_reduction(Communicator& communicator, Device& device,
                                                       const DeviceReductionOptions& options) {
  if (communicator.size() == 1) return std::make_unique<LoneReduction>(options);
  return std::make_unique<StagedReduction>(communicator.split(0, communicator.rank()), device, options);
}

}  // namespace convoy
