#include "io/batch_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "io/augmentation.h"

namespace convoy {
namespace {

/// Offsets and flips of the op `prepare` for samples of one shape: {offset1, offset2, offset3, flips}.
class Transforms {
 public:
  Transforms(const Shape& sample, const AugmentOptions& options)
      : key_(options.seed, "augment"), axes_(static_cast<std::size_t>(sample.rank() - 1)), flip_(options.flip), has_choice_(options.flip) {
    for (std::size_t axis = 0; axis < axes_; ++axis) {
      const std::int64_t extent = sample[static_cast<int>(axis)];
      const std::int64_t crop = options.crop[axis] ? options.crop[axis] : extent;
      pad_[axis] = options.pad[axis];
      choices_[axis] = extent + 2 * pad_[axis] - crop + 1;
      if (crop < 0 || pad_[axis] < 0 || choices_[axis] < 1)
        throw UsageError(fmt::format("a crop of {} from an axis of {} with a border of {}: choose a crop of 1 to {}", crop,
                                     extent, pad_[axis], extent + 2 * std::max<std::int64_t>(pad_[axis], 0)));
      const std::int64_t margin = extent - crop;
      has_choice_ |= choices_[axis] > 1;
      centre_[axis] = static_cast<std::int32_t>(margin >= 0 ? margin / 2 : -((1 - margin) / 2));  // floor
    }
  }

  RandomKey epoch_key(std::int64_t epoch) const { return key_.child(static_cast<std::uint64_t>(epoch)); }
  bool is_random() const { return has_choice_; }

  void draw(const RandomKey& sample_key, std::int32_t* row) const {
    std::fill_n(row, 4, 0);
    if (!has_choice_) return;
    const PhiloxBlock words = sample_key.block(0);
    for (std::size_t axis = 0; axis < axes_; ++axis) {
      const std::uint64_t choice = (std::uint64_t{words[axis]} * static_cast<std::uint64_t>(choices_[axis])) >> 32;
      row[axis] = static_cast<std::int32_t>(static_cast<std::int64_t>(choice) - pad_[axis]);
    }
    if (flip_ && words[3] >> 31) row[3] = 1 << (axes_ - 1);
  }

  void centre(std::int32_t* row) const { std::copy(centre_.begin(), centre_.end(), row); }

 private:
  RandomKey key_;
  std::size_t axes_;
  bool flip_, has_choice_;
  std::array<std::int64_t, 3> pad_{}, choices_{1, 1, 1};
  std::array<std::int32_t, 4> centre_{};
};

std::byte* row_of(Tensor& tensor, std::int64_t row, std::size_t row_bytes) {
  return tensor.bytes() + static_cast<std::size_t>(row) * row_bytes;
}

/// Extents of the image as cropped; the first two axes.
std::array<std::int64_t, 2> crop_of(const DatasetInfo& info, const AugmentOptions& options) {
  std::array<std::int64_t, 2> crop{1, 1};
  for (int axis = 0; axis < std::min(info.sample.rank() - 1, 2); ++axis)
    crop[static_cast<std::size_t>(axis)] = options.crop[axis] ? options.crop[axis] : info.sample[axis];
  return crop;
}

/// Reads one sample of the training stream and does to it what is drawn for it.
class SampleReader {
 public:
  SampleReader(const Dataset& dataset, const AugmentOptions& options)
      : dataset_(dataset),
        transforms_(dataset.info().sample, options),
        views_(dataset.info(), options.view, std::array{dataset.info().sample[0], dataset.info().sample[1]}.data()),
        colors_(dataset.info(), options.color),
        cutout_(dataset.info(), options.cutout, crop_of(dataset.info(), options).data()),
        mixup_(dataset.info(), options.mixup),
        is_random_(transforms_.is_random() || views_.is_random() || colors_.exists() || cutout_.exists()) {}

  RandomKey epoch_key(std::int64_t epoch) const { return transforms_.epoch_key(epoch); }

  void read(const RandomKey& epoch_key, std::int64_t index, std::byte* image, std::int32_t* label, std::int32_t* transform) const {
    if (!is_random_) {
      std::fill_n(transform, 4, 0);
      return dataset_.read(index, image, label);
    }
    const RandomKey sample = epoch_key.child(static_cast<std::uint64_t>(dataset_.id(index)));
    if (views_.is_random())
      dataset_.read_view(index, [&](std::int64_t height, std::int64_t width) { return views_.draw(sample, height, width); },
                         image, label);
    else
      dataset_.read(index, image, label);
    transforms_.draw(sample, transform);
    auto* pixels = reinterpret_cast<std::uint8_t*>(image);
    if (colors_.exists()) colors_.apply(sample, pixels);
    if (cutout_.exists()) cutout_.apply(sample, transform, pixels);
  }

  /// Once all rows were read; `keys` [b, 2]: epoch and id.
  void mix(MicroBatch& batch) const {
    if (!mixup_.exists()) return;
    const auto keys = batch.keys.values<std::uint64_t>();
    const auto labels = batch.labels.values<std::int32_t>();
    auto weights = batch.weights.values<float>(), partner_weights = batch.partner_weights.values<float>();
    auto partner_labels = batch.partner_labels.values<std::int32_t>();
    const auto share_of = [&](std::size_t row) {
      return mixup_.draw(epoch_key(static_cast<std::int64_t>(keys[2 * row])).child(keys[2 * row + 1]));
    };
    std::ranges::copy(labels, partner_labels.begin());
    std::ranges::fill(partner_weights, 0.0f);
    for (std::size_t row = 0; row + 1 < labels.size(); row += 2) {
      const int shares[] = {share_of(row), share_of(row + 1)};
      auto* first = reinterpret_cast<std::uint8_t*>(batch.images.bytes()) + row * dataset_.image_bytes();
      mixup_.mix(first, first + dataset_.image_bytes(), shares[0], shares[1]);
      for (std::size_t i = 0; i < 2; ++i) {
        partner_labels[row + i] = labels[row + 1 - i];
        weights[row + i] = static_cast<float>(shares[i]) / 256;
        partner_weights[row + i] = static_cast<float>(256 - shares[i]) / 256;
      }
    }
  }

 private:
  const Dataset& dataset_;
  Transforms transforms_;
  ViewSampler views_;
  ColorChange colors_;
  Cutout cutout_;
  Mixup mixup_;
  bool is_random_;
};

class TrainingSource : public BatchSource {
 public:
  TrainingSource(const Dataset& dataset, const TrainingStream& stream)
      : dataset_(dataset),
        stream_(stream),
        order_(stream.order_seed, dataset.info().samples, stream.order),
        reader_(dataset, stream.augment) {
    const std::int64_t n = dataset.info().samples;
    if (stream.batch < 1 || stream.batch > n)
      throw UsageError(fmt::format("a global batch of {} from {} samples; choose 1 to {}", stream.batch, n, n));
    if (stream.virtual_workers < 1 || stream.batch % stream.virtual_workers != 0)
      throw UsageError(fmt::format("a global batch of {} cannot be cut into {} equal micro-batches", stream.batch,
                                   stream.virtual_workers));
    if (stream.first_worker < 0 || stream.last_worker <= stream.first_worker ||
        stream.last_worker > stream.virtual_workers)
      throw UsageError(fmt::format("micro-batches [{}, {}) of {}", stream.first_worker, stream.last_worker,
                                   stream.virtual_workers));
    if (stream.first_step < 0 || stream.last_step < stream.first_step)
      throw UsageError(fmt::format("steps [{}, {})", stream.first_step, stream.last_step));
  }

  std::int64_t tasks() const override { return (stream_.last_step - stream_.first_step) * tasks_per_step(); }
  std::int64_t rows() const override { return stream_.batch / stream_.virtual_workers; }
  std::int64_t tasks_per_step() const override { return stream_.last_worker - stream_.first_worker; }

  std::int64_t task_of(std::int64_t step, int index) const override {
    if (step < stream_.first_step || step >= stream_.last_step || index < stream_.first_worker ||
        index >= stream_.last_worker)
      throw UsageError(fmt::format("micro-batch {} of step {} was asked for, but this loader holds [{}, {}) of steps [{}, {})",
                                   index, step, stream_.first_worker, stream_.last_worker, stream_.first_step,
                                   stream_.last_step));
    return (step - stream_.first_step) * tasks_per_step() + (index - stream_.first_worker);
  }

  void fill(std::int64_t task, MicroBatch& batch, const std::atomic<bool>& stop) const override {
    batch.step = stream_.first_step + task / tasks_per_step();
    batch.index = stream_.first_worker + static_cast<int>(task % tasks_per_step());
    const std::int64_t first = batch.step * stream_.batch + batch.index * rows();
    order_.indices(first, batch.indices);
    auto keys = batch.keys.values<std::uint64_t>();
    auto labels = batch.labels.values<std::int32_t>();
    auto transforms = batch.transforms.values<std::int32_t>();
    std::ranges::fill(batch.weights.values<float>(), 1.0f);
    std::int64_t epoch = order_.epoch_at(first);
    RandomKey epoch_key = reader_.epoch_key(epoch);
    for (std::int64_t row = 0; row < rows() && !stop.load(std::memory_order_relaxed); ++row) {
      const auto r = static_cast<std::size_t>(row);
      if (order_.epoch_at(first + row) != epoch) epoch_key = reader_.epoch_key(++epoch);
      reader_.read(epoch_key, batch.indices[r], row_of(batch.images, row, dataset_.image_bytes()), &labels[r], &transforms[4 * r]);
      keys[2 * r] = static_cast<std::uint64_t>(epoch);
      keys[2 * r + 1] = static_cast<std::uint64_t>(dataset_.id(batch.indices[r]));
    }
    if (!stop.load(std::memory_order_relaxed)) reader_.mix(batch);
  }

 private:
  const Dataset& dataset_;
  TrainingStream stream_;
  SampleOrder order_;
  SampleReader reader_;
};

class EvaluationSource : public BatchSource {
 public:
  EvaluationSource(const Dataset& dataset, std::int64_t block, std::int64_t first, std::int64_t last,
                   const AugmentOptions& augment)
      : dataset_(dataset), block_(block), first_(first), last_(last), transforms_(dataset.info().sample, augment) {
    if (block < 1) throw UsageError(fmt::format("an evaluation in blocks of {} samples; choose at least 1", block));
    const std::int64_t blocks = (dataset.info().samples - 1) / block + 1;
    if (first < 0 || last < first || last > blocks)
      throw UsageError(fmt::format("blocks [{}, {}) of {}", first, last, blocks));
  }

  std::int64_t tasks() const override { return last_ - first_; }
  std::int64_t rows() const override { return block_; }
  std::int64_t tasks_per_step() const override { return 1; }

  std::int64_t task_of(std::int64_t step, int index) const override {
    if (step < first_ || step >= last_ || index != 0)
      throw UsageError(fmt::format("block {} (micro-batch {}) was asked for, but this loader holds blocks [{}, {})", step,
                                   index, first_, last_));
    return step - first_;
  }

  void fill(std::int64_t task, MicroBatch& batch, const std::atomic<bool>& stop) const override {
    batch.step = first_ + task;
    batch.index = 0;
    const std::size_t image_bytes = dataset_.image_bytes();
    auto keys = batch.keys.values<std::uint64_t>();
    auto labels = batch.labels.values<std::int32_t>();
    auto weights = batch.weights.values<float>();
    for (std::int64_t row = 0; row < block_ && !stop.load(std::memory_order_relaxed); ++row) {
      const auto r = static_cast<std::size_t>(row);
      const std::int64_t index = batch.step * block_ + row;
      const bool exists = index < dataset_.info().samples;
      batch.indices[r] = exists ? index : -1;
      weights[r] = exists ? 1.0f : 0.0f;
      keys[2 * r] = 0;
      keys[2 * r + 1] = exists ? static_cast<std::uint64_t>(dataset_.id(index)) : 0;
      transforms_.centre(&batch.transforms.values<std::int32_t>()[4 * r]);
      std::byte* image = row_of(batch.images, row, image_bytes);
      labels[r] = 0;
      if (exists)
        dataset_.read(index, image, &labels[r]);
      else
        std::memset(image, 0, image_bytes);
    }
  }

 private:
  const Dataset& dataset_;
  std::int64_t block_, first_, last_;
  Transforms transforms_;
};

}  // namespace

std::unique_ptr<BatchSource> make_training_source(const Dataset& dataset, const TrainingStream& stream) {
  return std::make_unique<TrainingSource>(dataset, stream);
}

std::unique_ptr<BatchSource> make_evaluation_source(const Dataset& dataset, std::int64_t block, std::int64_t first_block,
                                                    std::int64_t last_block, const AugmentOptions& augment) {
  return std::make_unique<EvaluationSource>(dataset, block, first_block, last_block, augment);
}

}  // namespace convoy
