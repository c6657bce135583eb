#pragma once
// Sums over the pixels of a data set from which the mean, the deviation and the covariance of its channels follow. Whole
// numbers, so the same whatever the order in which pictures, shards and ranks are added.
#include <array>
#include <cstdint>
#include <vector>

namespace convoy {

class ColorSums {
 public:
  /// 1 or 3 channels.
  explicit ColorSums(int channels) : channels_(channels) {}

  /// `pixels` pixels, uint8, channels-last.
  void add(const std::uint8_t* image, std::int64_t pixels);
  void add(const ColorSums& other);

  /// count, sums of c0.., sums of the products c0 c0, c0 c1, c0 c2, c1 c1, c1 c2, c2 c2: for a file.
  std::vector<std::uint64_t> numbers() const { return {numbers_.begin(), numbers_.end()}; }
  /// Throws DataError for a list that is not as long as numbers().
  static ColorSums from_numbers(int channels, const std::vector<std::uint64_t>& numbers);

  std::vector<double> mean() const;
  /// Of the population.
  std::vector<double> deviation() const;

  struct Basis {
    std::vector<double> values;   // 3 eigenvalues of the covariance, largest first
    std::vector<double> vectors;  // 3 unit eigenvectors, one after the other; the largest component is positive
  };
  /// Empty for one channel.
  Basis basis() const;

 private:
  double covariance(int a, int b) const;

  int channels_;
  std::array<std::uint64_t, 10> numbers_{};
};

}  // namespace convoy
