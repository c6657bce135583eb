#include "io/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace convoy {
namespace {

constexpr int kWeightBits = 14;
constexpr int kLineBits = 7;  // fraction of the values between the passes: 255 * 2^7 fits 16 bits
constexpr std::int32_t kOne = 1 << kWeightBits;

// The loops are compiled twice, for they are most of the loader's time beside decoding. Integers: no bit can differ.
#define CONVOY_AVX2 __attribute__((target("avx2")))

/// sums[x] = or += a[x] wa + b[x] wb.
template <bool First>
[[gnu::always_inline]] inline void add_two(std::int32_t* sums, const std::uint8_t* a, const std::uint8_t* b, std::int32_t wa,
                                           std::int32_t wb, std::int64_t n) {
  for (std::int64_t x = 0; x < n; ++x) {
    const std::int32_t term = wa * a[x] + wb * b[x];
    sums[x] = First ? term : sums[x] + term;
  }
}

/// One output row's vertical pass, n values: weighted rows of the source, rounded to kLineBits of fraction.
[[gnu::always_inline]] inline void weigh_rows_in(const std::uint8_t* first, std::int64_t row_bytes, const std::int16_t* weights,
                                                 std::int32_t taps, std::int32_t* sums, std::int16_t* line, std::int64_t n) {
  for (std::int32_t t = 0; t < taps; t += 2) {
    const std::uint8_t* a = first + t * row_bytes;
    const bool pair = t + 1 < taps;
    const std::uint8_t* b = pair ? a + row_bytes : a;
    const std::int32_t wb = pair ? weights[t + 1] : 0;
    if (t == 0)
      add_two<true>(sums, a, b, weights[t], wb, n);
    else
      add_two<false>(sums, a, b, weights[t], wb, n);
  }
  constexpr int kShift = kWeightBits - kLineBits;
  for (std::int64_t x = 0; x < n; ++x) line[x] = static_cast<std::int16_t>((sums[x] + (1 << (kShift - 1))) >> kShift);
}

void weigh_rows_plain(const std::uint8_t* first, std::int64_t row_bytes, const std::int16_t* weights, std::int32_t taps,
                      std::int32_t* sums, std::int16_t* line, std::int64_t n) {
  weigh_rows_in(first, row_bytes, weights, taps, sums, line, n);
}

#if defined(__x86_64__)
CONVOY_AVX2 void weigh_rows_avx2(const std::uint8_t* first, std::int64_t row_bytes, const std::int16_t* weights,
                                 std::int32_t taps, std::int32_t* sums, std::int16_t* line, std::int64_t n) {
  weigh_rows_in(first, row_bytes, weights, taps, sums, line, n);
}
const auto weigh_rows = __builtin_cpu_supports("avx2") ? weigh_rows_avx2 : weigh_rows_plain;
#else
const auto weigh_rows = weigh_rows_plain;
#endif

template <int Channels>
void weigh_columns(const std::int16_t* line, const std::int32_t* first, const std::int32_t* count, const std::int16_t* weights,
                   std::int64_t most, std::uint8_t* out, std::int64_t width) {
  constexpr int kShift = kWeightBits + kLineBits;
  for (std::int64_t x = 0; x < width; ++x, weights += most, out += Channels) {
    std::int32_t sums[Channels] = {};
    const std::int16_t* pixel = line + std::int64_t{first[x]} * Channels;
    for (std::int32_t t = 0; t < count[x]; ++t, pixel += Channels)
      for (int c = 0; c < Channels; ++c) sums[c] += std::int32_t{weights[t]} * pixel[c];
    for (int c = 0; c < Channels; ++c) out[c] = static_cast<std::uint8_t>((sums[c] + (1 << (kShift - 1))) >> kShift);
  }
}

using WeighColumns = void (*)(const std::int16_t*, const std::int32_t*, const std::int32_t*, const std::int16_t*, std::int64_t,
                              std::uint8_t*, std::int64_t);
constexpr WeighColumns kWeighColumns[] = {weigh_columns<1>, weigh_columns<2>, weigh_columns<3>, weigh_columns<4>};

/// Weights of `count` taps, rounded so that they sum to exactly kOne: what rounding leaves goes to the largest.
void round_weights(const double* exact, std::int32_t count, double sum, std::int16_t* weights) {
  std::int32_t left = kOne, largest = 0;
  for (std::int32_t t = 0; t < count; ++t) {
    weights[t] = static_cast<std::int16_t>(exact[t] / sum * kOne + 0.5);
    left -= weights[t];
    if (exact[t] > exact[largest]) largest = t;
  }
  weights[largest] = static_cast<std::int16_t>(weights[largest] + left);
}

}  // namespace

double filter_reach(double extent, std::int64_t target) { return std::max(extent / static_cast<double>(target), 1.0); }

void Resampler::plan(Axis& axis, double begin, double extent, std::int64_t source, std::int64_t target) {
  const double scale = extent / static_cast<double>(target);
  const double reach = filter_reach(extent, target);
  axis.most = static_cast<std::int64_t>(std::ceil(2 * reach)) + 1;
  axis.first.resize(static_cast<std::size_t>(target));
  axis.count.resize(static_cast<std::size_t>(target));
  axis.weights.assign(static_cast<std::size_t>(target * axis.most), 0);
  exact_.resize(static_cast<std::size_t>(axis.most));
  for (std::int64_t i = 0; i < target; ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale;
    const auto low = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(centre - reach + 0.5)), 0, source - 1);
    const auto high = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(centre + reach + 0.5)), low + 1,
                                               std::min(source, low + axis.most));
    double sum = 0;
    std::int32_t count = 0;
    for (std::int64_t p = low; p < high; ++p, ++count) {
      const double weight = std::max(0.0, 1 - std::abs(static_cast<double>(p) + 0.5 - centre) / reach);
      exact_[static_cast<std::size_t>(count)] = weight;
      sum += weight;
    }
    if (!(sum > 0)) {  // a view that ends where the source does: the nearest pixel
      exact_[0] = sum = 1;
      count = 1;
    }
    axis.first[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(low);
    axis.count[static_cast<std::size_t>(i)] = count;
    round_weights(exact_.data(), count, sum, axis.weights.data() + i * axis.most);
  }
}

void Resampler::run(const PixelRows& source, const View& view, std::uint8_t* target, std::int64_t height, std::int64_t width) {
  plan(rows_, view.top, view.height, source.height, height);
  plan(columns_, view.left, view.width, source.width, width);
  // Only the columns that are read.
  const std::int64_t begin = *std::min_element(columns_.first.begin(), columns_.first.end());
  std::int64_t end = 0;
  for (std::size_t x = 0; x < columns_.first.size(); ++x) {
    end = std::max<std::int64_t>(end, columns_.first[x] + columns_.count[x]);
    columns_.first[x] -= static_cast<std::int32_t>(begin);
  }
  const std::int64_t n = (end - begin) * source.channels;
  sums_.resize(static_cast<std::size_t>(n));
  line_.resize(static_cast<std::size_t>(n));
  const WeighColumns weigh = kWeighColumns[source.channels - 1];
  for (std::int64_t y = 0; y < height; ++y) {
    const auto row = static_cast<std::size_t>(y);
    weigh_rows(source.data + rows_.first[row] * source.row_bytes + begin * source.channels, source.row_bytes,
               rows_.weights.data() + y * rows_.most, rows_.count[row], sums_.data(), line_.data(), n);
    weigh(line_.data(), columns_.first.data(), columns_.count.data(), columns_.weights.data(), columns_.most,
          target + y * width * source.channels, width);
  }
}

}  // namespace convoy
