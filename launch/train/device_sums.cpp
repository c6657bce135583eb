#include "launch/train/device_sums.h"

#include "distributed/tree.h"

namespace convoy {

DeviceSums::DeviceSums(Device& device, const std::vector<std::int64_t>& elements, const std::vector<SumRounding>& rounding,
                       int first, int last, int leaves, const std::int32_t* leaf)
    : device_(device),
      plan_(make_fold_plan(first, last, leaves)),
      subtrees_(static_cast<int>(subtrees_inside(first, last, leaves).size())),
      leaf_(leaf) {
  const std::size_t table_bytes = plan_.rows.size() * sizeof plan_.rows[0];
  rows_ = device_.allocate(table_bytes);
  device_.copy(Stream::compute, rows_.get(), plan_.rows.data(), table_bytes);
  device_.synchronize(Stream::compute);
  for (std::size_t b = 0; b < elements.size(); ++b) {
    Bucket bucket{.elements = static_cast<std::size_t>(elements[b]), .rounding = rounding[b]};
    const std::size_t bucket_bytes = bucket.elements * sizeof(float);
    bucket.gradients = device_.allocate(bucket_bytes);
    bytes_ += bucket_bytes;
    if (last - first > 1 || bucket.rounding != SumRounding::none) {
      bucket.places = device_.allocate(static_cast<std::size_t>(plan_.places) * bucket_bytes);
      bytes_ += static_cast<std::size_t>(plan_.places) * bucket_bytes;
    }
    buckets_.push_back(std::move(bucket));
  }
}

void DeviceSums::fold(int number) {
  const Bucket& bucket = buckets_[static_cast<std::size_t>(number)];
  if (!bucket.places) return;
  const FoldTable table{reinterpret_cast<const std::int32_t*>(rows_.get()), plan_.width, leaf_};
  device_.fold(Stream::compute, memory(bucket.places), memory(bucket.gradients), bucket.elements, table, bucket.rounding);
}

std::vector<DeviceBucket> DeviceSums::described() const {
  std::vector<DeviceBucket> described;
  for (const Bucket& bucket : buckets_) {
    DeviceBucket told{.sums = {}, .elements = bucket.elements, .rounding = bucket.rounding};
    for (int place = 0; place < subtrees_; ++place)
      told.sums.push_back(bucket.places ? memory(bucket.places) + static_cast<std::size_t>(place) * bucket.elements
                                        : memory(bucket.gradients));
    described.push_back(std::move(told));
  }
  return described;
}

}  // namespace convoy
