#include "io/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace convoy {
namespace {

constexpr int kWeightBits = 14;
constexpr int kLineBits = 7;  // fraction of the values between the passes: 255 * 2^7 fits 16 bits
constexpr std::int32_t kOne = 1 << kWeightBits;
constexpr int kLineShift = kWeightBits - kLineBits, kPixelShift = kWeightBits + kLineBits;
constexpr std::int32_t kLineRound = 1 << (kLineShift - 1), kPixelRound = 1 << (kPixelShift - 1);
constexpr std::size_t kLinePadding = 8;  // values that the horizontal pass may read beyond the line, and weighs with 0

// Both passes in 128-bit registers, which every x86-64 has, else plainly. Integers: no bit can differ.

/// One output row's vertical pass, values [begin, n): weighted rows of the source, rounded to kLineBits of fraction.
void weigh_rows_plainly(const std::uint8_t* first, std::int64_t row_bytes, const std::int16_t* weights, std::int32_t taps,
                        std::int16_t* line, std::int64_t begin, std::int64_t n) {
  for (std::int64_t x = begin; x < n; ++x) {
    std::int32_t sum = kLineRound;
    for (std::int32_t t = 0; t < taps; ++t) sum += std::int32_t{weights[t]} * first[t * row_bytes + x];
    line[x] = static_cast<std::int16_t>(sum >> kLineShift);
  }
}

#if defined(__SSE2__)
/// Two weights, over and over: for the products of values that lie in pairs.
__m128i pair_of(const std::int16_t* weights, bool both) {
  return _mm_set1_epi32(static_cast<std::int32_t>(static_cast<std::uint16_t>(weights[0]) |
                                                  (both ? std::uint32_t{static_cast<std::uint16_t>(weights[1])} << 16 : 0)));
}

__m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

void weigh_rows(const std::uint8_t* first, std::int64_t row_bytes, const std::int16_t* weights, std::int32_t taps,
                std::int16_t* line, std::int64_t n) {
  constexpr std::int64_t kBlock = 16;
  const __m128i zero = _mm_setzero_si128(), round = _mm_set1_epi32(kLineRound);
  std::int64_t x = 0;
  for (; x + kBlock <= n; x += kBlock) {
    __m128i sums[4] = {round, round, round, round};
    for (std::int32_t t = 0; t < taps; t += 2) {
      const bool both = t + 1 < taps;
      const __m128i weight = pair_of(weights + t, both);
      const __m128i a = load(first + t * row_bytes + x), b = both ? load(first + (t + 1) * row_bytes + x) : zero;
      const __m128i low = _mm_unpacklo_epi8(a, b), high = _mm_unpackhi_epi8(a, b);  // a0 b0 a1 b1 ..
      sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(_mm_unpacklo_epi8(low, zero), weight));
      sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(_mm_unpackhi_epi8(low, zero), weight));
      sums[2] = _mm_add_epi32(sums[2], _mm_madd_epi16(_mm_unpacklo_epi8(high, zero), weight));
      sums[3] = _mm_add_epi32(sums[3], _mm_madd_epi16(_mm_unpackhi_epi8(high, zero), weight));
    }
    for (__m128i& sum : sums) sum = _mm_srai_epi32(sum, kLineShift);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(line + x), _mm_packs_epi32(sums[0], sums[1]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(line + x + 8), _mm_packs_epi32(sums[2], sums[3]));
  }
  weigh_rows_plainly(first, row_bytes, weights, taps, line, x, n);
}

/// The horizontal pass for up to 4 channels in the lanes of a register. Reads kLinePadding values beyond the line.
template <int Channels>
void weigh_columns(const std::int16_t* line, const std::int32_t* first, const std::int32_t* count, const std::int16_t* weights,
                   std::int64_t most, std::uint8_t* out, std::int64_t width) {
  const auto pixel_at = [](const std::int16_t* from) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)); };
  for (std::int64_t x = 0; x < width; ++x, weights += most, out += Channels) {
    __m128i sum = _mm_set1_epi32(kPixelRound);
    const std::int16_t* pixel = line + std::int64_t{first[x]} * Channels;
    // A tap beyond the last has the weight 0.
    for (std::int32_t t = 0; t < count[x]; t += 2, pixel += 2 * Channels)
      sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpacklo_epi16(pixel_at(pixel), pixel_at(pixel + Channels)), pair_of(weights + t, true)));
    sum = _mm_srai_epi32(sum, kPixelShift);
    const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
    const std::int32_t word = _mm_cvtsi128_si32(bytes);
    std::memcpy(out, &word, Channels);
  }
}
#else
void weigh_rows(const std::uint8_t* first, std::int64_t row_bytes, const std::int16_t* weights, std::int32_t taps,
                std::int16_t* line, std::int64_t n) {
  weigh_rows_plainly(first, row_bytes, weights, taps, line, 0, n);
}

template <int Channels>
void weigh_columns(const std::int16_t* line, const std::int32_t* first, const std::int32_t* count, const std::int16_t* weights,
                   std::int64_t most, std::uint8_t* out, std::int64_t width) {
  for (std::int64_t x = 0; x < width; ++x, weights += most, out += Channels) {
    std::int32_t sums[Channels] = {};
    const std::int16_t* pixel = line + std::int64_t{first[x]} * Channels;
    for (std::int32_t t = 0; t < count[x]; ++t, pixel += Channels)
      for (int c = 0; c < Channels; ++c) sums[c] += std::int32_t{weights[t]} * pixel[c];
    for (int c = 0; c < Channels; ++c) out[c] = static_cast<std::uint8_t>((sums[c] + kPixelRound) >> kPixelShift);
  }
}
#endif

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
  axis.most = (static_cast<std::int64_t>(std::ceil(2 * reach)) + 2) / 2 * 2;  // even: taps are weighed in pairs
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

void Resampler::run(const PixelRows& source, const PictureView& view, std::uint8_t* target, std::int64_t height, std::int64_t width) {
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
  line_.resize(static_cast<std::size_t>(n) + kLinePadding);
  const WeighColumns weigh = kWeighColumns[source.channels - 1];
  for (std::int64_t y = 0; y < height; ++y) {
    const auto row = static_cast<std::size_t>(y);
    weigh_rows(source.data + rows_.first[row] * source.row_bytes + begin * source.channels, source.row_bytes,
               rows_.weights.data() + y * rows_.most, rows_.count[row], line_.data(), n);
    weigh(line_.data(), columns_.first.data(), columns_.count.data(), columns_.weights.data(), columns_.most,
          target + y * width * source.channels, width);
  }
}

}  // namespace convoy
