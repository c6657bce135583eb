#include "distributed/device_tree_reduction.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "core/tensor/error.h"
#include "distributed/chunks.h"
#include "distributed/communicator_watch.h"
#include "distributed/device_wait.h"
#include "distributed/placed_tree.h"

namespace convoy {
namespace {

constexpr Stream kOn = Stream::communication;

std::size_t bytes_of(SumRounding rounding) { return rounding == SumRounding::bf16 ? sizeof(std::uint16_t) : sizeof(float); }

/// The largest slice of a bucket: places of its parts lie this far apart.
std::size_t stride_of(std::size_t elements, int ranks) {
  const std::size_t lines = (elements + kSliceAlignment - 1) / kSliceAlignment, all = static_cast<std::size_t>(ranks);
  return (lines + all - 1) / all * kSliceAlignment;
}

class DeviceTreeReduction final : public DeviceReduction {
 public:
  DeviceTreeReduction(std::unique_ptr<DeviceCommunicator> communicator, Device& device,
                      const DeviceReductionOptions& options)
      : options_(options), device_(device), rank_(communicator->rank()), ranks_(communicator->size()) {
    place_parts();
    for (const DeviceBucket& bucket : options_.buckets) check_bucket(bucket);
    take_memory();
    for (std::size_t i = 0; i < options_.buckets.size(); ++i) complete_.push_back(device_.make_event());
    returned_ = device_.make_event();
    communicator_ = std::move(communicator);
    watch_ = std::make_unique<CommunicatorWatch>(*communicator_);
  }

  /// The library chooses its all-reduce by the length, and makes ready for it at the first call: now, with a deadline, and
  /// not inside a capture.
  void rehearse(std::chrono::milliseconds deadline) {
    guarded([&] {
      for (const DeviceBucket& bucket : options_.buckets) exchange(bucket);
      device_.record(kOn, *returned_);
      wait_until_done(device_, *returned_, {.what = "the first all-reduce", .deadline = deadline, .meanwhile = [&] { check(); }});
    });
  }

  ~DeviceTreeReduction() override {
    watch_.reset();
    // Kernels that wait for a peer in vain would hold up whoever frees the memory that they use.
    if (failed_ || std::uncaught_exceptions() > exceptions_at_start_) communicator_->abort();
    communicator_.reset();
  }

  bool can_be_captured() const override { return communicator_->can_be_captured(); }
  float* result(int bucket) const override { return options_.buckets.at(static_cast<std::size_t>(bucket)).sums.front(); }

  void begin(std::int64_t step) override {
    check();
    if (failed_) throw Error(fmt::format("step {} began after the reduction had failed", step));
    step_ = step;
    ready_ = 0;
    if (options_.before_exchange) options_.before_exchange(step);
  }

  void bucket_ready(int bucket) override {
    if (bucket != ready_++) throw Error(fmt::format("gradient bucket {} of step {} came out of turn", bucket, step_));
    const auto at = static_cast<std::size_t>(bucket);
    device_.record(Stream::compute, *complete_.at(at));
    device_.wait(kOn, *complete_[at]);
    guarded([&] { exchange(options_.buckets[at]); });
  }

  void finish() override {
    if (ready_ != static_cast<int>(options_.buckets.size()))
      throw Error(fmt::format("step {}: {} of {} gradient buckets were handed in", step_, ready_, options_.buckets.size()));
    device_.record(kOn, *returned_);
    device_.wait(Stream::compute, *returned_);
    check();
  }

  void check() override { watch_->check(); }
  double exposed_seconds() const override { return 0; }
  double communication_seconds() const override { return 0; }
  std::size_t memory_bytes() const override { return memory_bytes_; }

 private:
  void place_parts() {
    std::vector<Subtree> parts;
    for (int r = 0; r < ranks_; ++r) {
      const auto [first, last] = share_of(r, ranks_, 0, options_.virtual_workers);
      for (const Subtree& part : subtrees_inside(first, last, options_.virtual_workers)) {
        parts.push_back(part);
        owners_.push_back(r);
      }
    }
    tree_ = place_tree(parts, options_.virtual_workers);
    own_ = static_cast<std::size_t>(std::find(owners_.begin(), owners_.end(), rank_) - owners_.begin());
    own_parts_ = static_cast<std::size_t>(std::count(owners_.begin(), owners_.end(), rank_));
  }

  void check_bucket(const DeviceBucket& bucket) const {
    if (bucket.sums.size() != own_parts_)
      throw Error(fmt::format("a bucket with {} sums, but rank {} holds {} subtrees", bucket.sums.size(), rank_, own_parts_));
    if (options_.kind == ReductionKind::fast && bucket.rounding != SumRounding::none)
      throw UsageError("--reduction-dtype=bf16 rounds every sum of the fixed tree, but --reduction=fast leaves the sums to the "
                       "library; give up one of the two");
  }

  /// One scratch for all buckets: their exchanges follow each other on one stream.
  void take_memory() {
    std::size_t places = 0, landing = 0, image = 0;
    for (const DeviceBucket& bucket : options_.buckets) {
      const std::size_t all_parts = stride_of(bucket.elements, ranks_) * owners_.size();
      places = std::max(places, all_parts);
      if (bucket.rounding == SumRounding::none) continue;
      landing = std::max(landing, all_parts);
      image = std::max(image, (bucket.elements + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment);
    }
    if (options_.kind == ReductionKind::fast) return;
    image_elements_ = image;
    places_ = take(places * sizeof(float));
    landing_ = take(landing * sizeof(std::uint16_t));
    images_ = take(image * own_parts_ * sizeof(std::uint16_t));
  }

  DeviceMemory take(std::size_t bytes) {
    memory_bytes_ += bytes;
    return bytes > 0 ? device_.allocate(bytes) : DeviceMemory();
  }

  /// What the watch found comes first: that its abort made this call fail too says nothing.
  template <typename Enqueue>
  void guarded(const Enqueue& enqueue) {
    try {
      enqueue();
    } catch (...) {
      failed_ = true;
      check();
      throw;
    }
  }

  void exchange(const DeviceBucket& bucket) {
    if (bucket.elements == 0) return;
    if (options_.kind == ReductionKind::fast) return all_reduce(bucket);
    const Range mine = slice_of(rank_, ranks_, bucket.elements);
    scatter(bucket, mine);
    if (mine.size() > 0) finish_slice(bucket, mine);
    gather(bucket, mine);
  }

  void all_reduce(const DeviceBucket& bucket) {
    float* const sum = bucket.sums.front();
    for (std::size_t i = 1; i < bucket.sums.size(); ++i)
      device_.add(kOn, sum, sum, bucket.sums[i], bucket.elements, SumRounding::none);
    communicator_->all_reduce_fast(sum, bucket.elements, kOn);
  }

  /// Step 1: my slice of every rank's subtrees comes to landing(part).
  void scatter(const DeviceBucket& bucket, const Range& mine) {
    const std::size_t each = bytes_of(bucket.rounding);
    if (bucket.rounding == SumRounding::bf16)
      for (std::size_t i = 0; i < own_parts_; ++i) device_.pack_bf16(kOn, packed(i), bucket.sums[i], bucket.elements);
    communicator_->begin_group();
    for (int distance = 1; distance < ranks_; ++distance) {
      const int peer = (rank_ + distance) % ranks_;
      const Range theirs = slice_of(peer, ranks_, bucket.elements);
      for (std::size_t i = 0; i < own_parts_ && theirs.size() > 0; ++i)
        communicator_->send(image(bucket, i) + theirs.begin * each, theirs.size() * each, peer, kOn);
    }
    for (std::size_t part = 0; part < owners_.size() && mine.size() > 0; ++part)
      if (owners_[part] != rank_) communicator_->receive(landing(bucket, part), mine.size() * each, owners_[part], kOn);
    communicator_->end_group();
  }

  /// Step 2: the tree over my slice; its root goes to the result.
  void finish_slice(const DeviceBucket& bucket, const Range& mine) {
    const std::size_t each = bytes_of(bucket.rounding), stride = stride_of(bucket.elements, ranks_);
    for (std::size_t i = 0; i < own_parts_; ++i)
      device_.copy(kOn, landing(bucket, own_ + i), image(bucket, i) + mine.begin * each, mine.size() * each);
    if (bucket.rounding == SumRounding::bf16)
      device_.unpack_bf16(kOn, places(), reinterpret_cast<const std::uint16_t*>(landing_.get()), stride * owners_.size());
    for (const AddRun& run : tree_.runs) {
      float* const target = places() + static_cast<std::size_t>(run.target) * stride;
      const float* const source = places() + static_cast<std::size_t>(run.source) * stride;
      if (&run == &tree_.runs.back())
        device_.add(kOn, bucket.sums.front() + mine.begin, target, source, mine.size(), bucket.rounding);
      else
        device_.add(kOn, target, target, source, static_cast<std::size_t>(run.count) * stride, bucket.rounding);
    }
  }

  /// Step 3: everybody's slice comes to everybody's result.
  void gather(const DeviceBucket& bucket, const Range& mine) {
    const std::size_t each = bytes_of(bucket.rounding);
    float* const root = bucket.sums.front();
    if (bucket.rounding == SumRounding::bf16 && mine.size() > 0)
      device_.pack_bf16(kOn, packed(0) + mine.begin, root + mine.begin, mine.size());
    communicator_->begin_group();
    for (int distance = 1; distance < ranks_; ++distance) {
      const int to = (rank_ + distance) % ranks_, from = (rank_ - distance + ranks_) % ranks_;
      const Range theirs = slice_of(from, ranks_, bucket.elements);
      if (mine.size() > 0) communicator_->send(image(bucket, 0) + mine.begin * each, mine.size() * each, to, kOn);
      if (theirs.size() > 0)
        communicator_->receive(image(bucket, 0) + theirs.begin * each, theirs.size() * each, from, kOn);
    }
    communicator_->end_group();
    if (bucket.rounding == SumRounding::bf16) device_.unpack_bf16(kOn, root, packed(0), bucket.elements);
  }

  /// What sum i of the bucket is sent from: itself, or its packed copy.
  std::byte* image(const DeviceBucket& bucket, std::size_t i) const {
    return bucket.rounding == SumRounding::bf16 ? reinterpret_cast<std::byte*>(packed(i))
                                                : reinterpret_cast<std::byte*>(bucket.sums[i]);
  }
  std::uint16_t* packed(std::size_t i) const { return reinterpret_cast<std::uint16_t*>(images_.get()) + i * image_elements_; }
  float* places() const { return reinterpret_cast<float*>(places_.get()); }
  /// Where my slice of a part arrives: in its place, or in the packed copy of its place.
  std::byte* landing(const DeviceBucket& bucket, std::size_t part) const {
    const std::size_t at = static_cast<std::size_t>(tree_.place[part]) * stride_of(bucket.elements, ranks_);
    return (bucket.rounding == SumRounding::bf16 ? landing_ : places_).get() + at * bytes_of(bucket.rounding);
  }

  const DeviceReductionOptions options_;
  Device& device_;
  const int rank_, ranks_;
  std::vector<int> owners_;  // rank that holds each part; parts in leaf order
  std::size_t own_ = 0, own_parts_ = 0;
  PlacedTree tree_;
  std::size_t image_elements_ = 0;
  DeviceMemory places_;   // f32 [parts, stride]
  DeviceMemory landing_;  // bf16 [parts, stride]; none where nothing is rounded
  DeviceMemory images_;   // bf16 [own parts, image_elements_]; likewise
  std::size_t memory_bytes_ = 0;
  std::vector<std::unique_ptr<Event>> complete_;  // by bucket
  std::unique_ptr<Event> returned_;
  std::unique_ptr<DeviceCommunicator> communicator_;
  std::unique_ptr<CommunicatorWatch> watch_;
  const int exceptions_at_start_ = std::uncaught_exceptions();
  std::int64_t step_ = -1;
  int ready_ = 0;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<DeviceReduction> make_device_tree_reduction(Communicator& world,
                                                            std::unique_ptr<DeviceCommunicator> communicator, Device& device,
                                                            const DeviceReductionOptions& options) {
  if (world.size() == 1) return make_staged_reduction(world, device, options);  // a world of one stages nothing
  if (options.virtual_workers < world.size())
    throw UsageError(fmt::format("{} ranks, but only {} virtual workers: every rank needs a micro-batch", world.size(),
                                 options.virtual_workers));
  auto reduction = std::make_unique<DeviceTreeReduction>(std::move(communicator), device, options);
  if (options.kind == ReductionKind::fast) reduction->rehearse(world.deadline());
  return reduction;
}

}  // namespace convoy
