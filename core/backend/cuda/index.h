#pragma once
// From a thread's number to the place of its element. Items are counted in 31 bits within a launch, so that
// divisions are a multiplication; larger tensors take several launches, each over whole samples.
#include <algorithm>
#include <cstdint>
#include <string>

#include "core/backend/cuda/launch.h"

namespace convoy::cuda {

/// Threads of a block of kernels in which a thread computes one item.
inline constexpr int kThreads = 256;
/// Most items of a launch.
inline constexpr std::int64_t kMostItems = (std::int64_t{1} << 31) - 1;

inline unsigned blocks_for(std::int64_t items, std::int64_t per_block = kThreads) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}

/// Division of numbers below 2^31 by a number known at bind time, 1 to 2^31 - 1 (Granlund & Montgomery 1994,
/// section 4).
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(std::int64_t divisor) : value_(static_cast<std::uint32_t>(divisor)) {
    while ((std::uint64_t{1} << shift_) < value_) ++shift_;
    const std::uint64_t power = std::uint64_t{1} << 32;
    multiplier_ = static_cast<std::uint32_t>(power * ((std::uint64_t{1} << shift_) - value_) / value_ + 1);
  }
  __host__ __device__ std::uint32_t value() const { return value_; }
  __host__ __device__ std::uint32_t quotient(std::uint32_t n) const {
    return (static_cast<std::uint32_t>(static_cast<std::uint64_t>(n) * multiplier_ >> 32) + n) >> shift_;
  }
  /// Returns n modulo the divisor and leaves the quotient in n: takes the innermost axis off a place.
  __host__ __device__ std::uint32_t take(std::uint32_t& n) const {
    const std::uint32_t q = quotient(n), rest = n - q * value_;
    n = q;
    return rest;
  }

 private:
  std::uint32_t value_ = 1, multiplier_ = 1;
  int shift_ = 0;
};

/// Whether the items of one sample do not fit into a launch; *reason then says so.
inline bool too_many(std::int64_t items_per_sample, std::string* reason) {
  if (items_per_sample <= kMostItems) return false;
  *reason = "a sample has " + std::to_string(items_per_sample) + " items; our kernels count up to " +
            std::to_string(kMostItems);
  return true;
}

/// Calls body(first sample, number of samples) for runs of samples that one launch takes. Every run but the
/// last holds a multiple of `step` samples.
template <typename Body>
void for_samples(std::int64_t samples, std::int64_t items_per_sample, Body body, std::int64_t step = 1) {
  const std::int64_t fitting = kMostItems / std::max<std::int64_t>(items_per_sample, 1);
  const std::int64_t run = std::max(fitting / step * step, step);
  for (std::int64_t first = 0; first < samples; first += run) body(first, std::min(run, samples - first));
}

}  // namespace convoy::cuda
