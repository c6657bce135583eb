#include "io/color_sums.h"

#include <algorithm>
#include <cmath>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr int kSums = 1, kProducts = 4;

/// Where the product of channels a <= b stands.
std::size_t product_at(int a, int b) {
  constexpr int kRows[] = {0, 3, 5};
  return static_cast<std::size_t>(kProducts + kRows[a] + b - a);
}

/// Eigenvalues and -vectors of a symmetric 3 x 3 matrix by Jacobi's rotations: `a` becomes diagonal, columns of `v` are the
/// vectors (Golub & Van Loan, Matrix Computations, section 8.5).
void diagonalize(double (&a)[3][3], double (&v)[3][3]) {
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) v[i][j] = i == j;
  constexpr int kSweeps = 30;  // converges quadratically; 6 are enough
  for (int sweep = 0; sweep < kSweeps; ++sweep)
    for (int p = 0; p < 2; ++p)
      for (int q = p + 1; q < 3; ++q) {
        if (a[p][q] == 0) continue;
        const double tau = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::sqrt(1 + tau * tau));
        const double c = 1 / std::sqrt(1 + t * t), s = t * c;
        for (int k = 0; k < 3; ++k) {
          const double kp = a[k][p], kq = a[k][q];
          a[k][p] = c * kp - s * kq;
          a[k][q] = s * kp + c * kq;
        }
        for (int k = 0; k < 3; ++k) {
          const double pk = a[p][k], qk = a[q][k];
          a[p][k] = c * pk - s * qk;
          a[q][k] = s * pk + c * qk;
          const double vp = v[k][p], vq = v[k][q];
          v[k][p] = c * vp - s * vq;
          v[k][q] = s * vp + c * vq;
        }
      }
}

}  // namespace

void ColorSums::add(const std::uint8_t* image, std::int64_t pixels) {
  constexpr std::int64_t kBlock = 4096;  // sums of products of so many pixels fit 32 bits
  for (std::int64_t begin = 0; begin < pixels; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, pixels - begin);
    const std::uint8_t* pixel = image + begin * channels_;
    std::array<std::uint32_t, 10> sums{};
    for (std::int64_t i = 0; i < count; ++i, pixel += channels_) {
      const std::uint32_t x = pixel[0];
      sums[1] += x;
      sums[4] += x * x;
      if (channels_ == 1) continue;
      const std::uint32_t y = pixel[1], z = pixel[2];
      sums[2] += y;
      sums[3] += z;
      sums[5] += x * y;
      sums[6] += x * z;
      sums[7] += y * y;
      sums[8] += y * z;
      sums[9] += z * z;
    }
    sums[0] = static_cast<std::uint32_t>(count);
    for (std::size_t i = 0; i < sums.size(); ++i) numbers_[i] += sums[i];
  }
}

void ColorSums::add(const ColorSums& other) {
  for (std::size_t i = 0; i < numbers_.size(); ++i) numbers_[i] += other.numbers_[i];
}

ColorSums ColorSums::from_numbers(int channels, const std::vector<std::uint64_t>& numbers) {
  ColorSums sums(channels);
  if (numbers.size() != sums.numbers_.size()) throw DataError("sums of pixels are not as many as expected");
  std::copy(numbers.begin(), numbers.end(), sums.numbers_.begin());
  return sums;
}

std::vector<double> ColorSums::mean() const {
  std::vector<double> mean;
  for (int c = 0; c < channels_; ++c)
    mean.push_back(numbers_[0] == 0 ? 0.0 : static_cast<double>(numbers_[static_cast<std::size_t>(kSums + c)]) / static_cast<double>(numbers_[0]));
  return mean;
}

double ColorSums::covariance(int a, int b) const {
  if (numbers_[0] == 0) return 0;
  const auto count = static_cast<__int128>(numbers_[0]);
  const auto sum_of = [&](int c) { return static_cast<__int128>(numbers_[static_cast<std::size_t>(kSums + c)]); };
  const __int128 difference = count * static_cast<__int128>(numbers_[product_at(a, b)]) - sum_of(a) * sum_of(b);
  const auto n = static_cast<double>(numbers_[0]);
  return static_cast<double>(difference) / n / n;
}

std::vector<double> ColorSums::deviation() const {
  std::vector<double> deviation;
  for (int c = 0; c < channels_; ++c) deviation.push_back(std::sqrt(covariance(c, c)));
  return deviation;
}

ColorSums::Basis ColorSums::basis() const {
  if (channels_ != 3) return {};
  double a[3][3], v[3][3];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) a[i][j] = covariance(std::min(i, j), std::max(i, j));
  diagonalize(a, v);
  int order[] = {0, 1, 2};
  std::sort(std::begin(order), std::end(order), [&](int i, int j) { return a[i][i] > a[j][j]; });
  Basis basis;
  for (int i : order) {
    basis.values.push_back(std::max(a[i][i], 0.0));
    int largest = 0;
    for (int k = 1; k < 3; ++k)
      if (std::abs(v[k][i]) > std::abs(v[largest][i])) largest = k;
    const double sign = v[largest][i] < 0 ? -1 : 1;
    for (int k = 0; k < 3; ++k) basis.vectors.push_back(sign * v[k][i]);
  }
  return basis;
}

}  // namespace convoy
