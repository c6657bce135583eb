#pragma once
// The buckets of one rank on its device: the micro-batch's own gradients, and the sums of those before it.
#include <cstdint>
#include <vector>

#include "core/backend/device.h"
#include "core/models/training.h"
#include "distributed/device_reduction.h"
#include "distributed/fold_plan.h"

namespace convoy {

class DeviceSums {
 public:
  /// For micro-batches [first, last) of `leaves`. `leaf`: device memory with the number of the one under way, counted from
  /// the first. `rounding`: one a bucket.
  DeviceSums(Device& device, const std::vector<std::int64_t>& elements, const std::vector<SumRounding>& rounding, int first,
             int last, int leaves, const std::int32_t* leaf);

  /// Where the micro-batch program writes the bucket's gradients.
  float* gradients(int bucket) const { return memory(buckets_[static_cast<std::size_t>(bucket)].gradients); }
  std::size_t elements(int bucket) const { return buckets_[static_cast<std::size_t>(bucket)].elements; }
  /// Enqueues the addition of the gradients to the sums.
  void fold(int bucket);
  /// For the reduction between ranks.
  std::vector<DeviceBucket> described() const;
  std::size_t memory_bytes() const { return bytes_; }

 private:
  struct Bucket {
    DeviceMemory gradients, places;  // places: none where the only micro-batch's gradients are the sum
    std::size_t elements = 0;
    SumRounding rounding = SumRounding::none;
  };
  static float* memory(const DeviceMemory& of) { return reinterpret_cast<float*>(of.get()); }
  Device& device_;
  const FoldPlan plan_;
  const int subtrees_;
  DeviceMemory rows_;
  const std::int32_t* leaf_;
  std::vector<Bucket> buckets_;
  std::size_t bytes_ = 0;
};

}  // namespace convoy
