#pragma once
// Per-channel statistics of images as stored.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tensor/dtype.h"

namespace convoy {

/// Counts what images hold, image by image. Exact for uint8 and uint16 (a histogram), so that the result does not depend
/// on the order of the images; for float32 in double, around the first value seen.
class ChannelStatistics {
 public:
  ChannelStatistics(DType dtype, std::int64_t channels);
  /// `pixels` pixels of all channels, channels-last. Returns false, and counts nothing more, at the first float that is
  /// not finite.
  bool add(const std::byte* image, std::int64_t pixels);

  std::vector<double> mean() const;
  /// Standard deviation of the population (divided by the count, not by the count less one).
  std::vector<double> deviation() const;
  std::vector<double> minimum() const;
  std::vector<double> maximum() const;

 private:
  struct Moments {
    double first = 0, sum = 0, sum_of_squares = 0;  // of value - first
    double minimum = 0, maximum = 0;
    std::int64_t count = 0;
  };
  template <typename T>
  void count_values(const T* values, std::int64_t pixels);
  bool add_floats(const float* values, std::int64_t pixels);
  std::vector<Moments> moments() const;

  DType dtype_;
  std::size_t channels_;
  std::size_t bins_ = 0;                 // values of the type; 0 for float32
  std::vector<std::uint64_t> histogram_;  // [channels, bins]
  std::vector<Moments> floats_;          // [channels]
};

}  // namespace convoy
