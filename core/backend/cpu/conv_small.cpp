#include "core/backend/cpu/conv_small.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/onednn.h"
#include "core/backend/cpu/vector/small_conv.h"

namespace convoy::cpu {
namespace {

const SmallConvKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::small_conv_kernels : avx2::small_conv_kernels;
}

std::string vector_name() { return std::string("vector:") + std::string(name_of(cpu_isa())); }

/// One image with its zero border, and room beyond for vectors that reach over its end.
struct Padded {
  std::int64_t rows, width, channels, top, left, in_rows, in_width;

  explicit Padded(const ConvSizes& s)
      : rows((s.out[0] - 1) * s.stride[0] + s.kernel[0]),
        width((s.out[1] - 1) * s.stride[1] + s.kernel[1]),
        channels(s.c),
        top(s.pad_low[0]),
        left(s.pad_low[1]),
        in_rows(s.in[0]),
        in_width(s.in[1]) {}

  std::int64_t step() const { return width * channels; }
  std::size_t bytes() const {
    return round_up_64(static_cast<std::size_t>(rows * step() + 64) * sizeof(float));
  }

  void fill(const float* x, float* padded) const {
    std::fill_n(padded, rows * step() + 64, 0.0f);
    for_rows([&](std::int64_t row, std::int64_t in_row, std::int64_t first, std::int64_t count) {
      std::copy_n(x + (in_row * in_width + first) * channels, count * channels,
                  padded + row * step() + (first + left) * channels);
    });
  }

  /// Pixels that no window reaches (a rest behind the last stride) have no gradient.
  void take(const float* padded, float* x) const {
    std::fill_n(x, in_rows * in_width * channels, 0.0f);
    for_rows([&](std::int64_t row, std::int64_t in_row, std::int64_t first, std::int64_t count) {
      std::copy_n(padded + row * step() + (first + left) * channels, count * channels,
                  x + (in_row * in_width + first) * channels);
    });
  }

 private:
  template <typename Body>
  void for_rows(Body body) const {
    const std::int64_t first = std::max<std::int64_t>(0, -left);
    const std::int64_t count = std::min(in_width, width - left) - first;
    if (count <= 0) return;
    for (std::int64_t row = 0; row < rows; ++row)
      if (const std::int64_t in_row = row - top; in_row >= 0 && in_row < in_rows)
        body(row, in_row, first, count);
  }
};

/// Images that share one sum of filter gradients.
constexpr std::int64_t kImagesPerGroup = 4;
constexpr std::int64_t kMaxOutputs = 16, kMaxTaps = 25;

class OneChannel final : public LayerPrimitive {
 public:
  OneChannel(const ConvSizes& s, bool forward, int threads)
      : s_(s),
        forward_(forward),
        threads_(threads),
        padded_(s),
        k_(kernels()),
        phases_(s.o / std::gcd(s.o, k_.lanes)),
        taps_(s.kernel[0] * s.kernel[1]) {
    geometry_ = {.kernel = s.kernel[0],
                 .out_rows = s.out[0],
                 .out_width = s.out[1],
                 .channels = s.o,
                 .in_step = padded_.step()};
  }

  std::string implementation() const override { return vector_name(); }
  std::size_t scratch_bytes() const override {
    const auto images = static_cast<std::size_t>(forward_ ? s_.n : groups());
    return table_bytes() + images * (padded_.bytes() + (forward_ ? 0 : sums_bytes() + image_sums_bytes()));
  }

  void run(const float* x, const float* b, float* bias, float* result, void* scratch) override {
    if (forward_)
      run_forward(x, b, bias, result, scratch);
    else
      run_filters(x, b, bias, result, scratch);
  }

 private:
  ConvSizes s_;
  bool forward_;
  int threads_;
  Padded padded_;
  const SmallConvKernels& k_;
  std::int64_t phases_, taps_;
  OneChannelGeometry geometry_;

  std::int64_t groups() const { return (s_.n + kImagesPerGroup - 1) / kImagesPerGroup; }
  std::int64_t sum_count() const { return phases_ * (taps_ + 1) * k_.lanes; }
  std::size_t sums_bytes() const { return round_up_64(static_cast<std::size_t>(sum_count()) * sizeof(double)); }
  std::size_t image_sums_bytes() const {
    return round_up_64(static_cast<std::size_t>(sum_count()) * sizeof(float));
  }
  std::size_t table_bytes() const {
    return forward_ ? round_up_64(static_cast<std::size_t>(sum_count()) * sizeof(float)) : 0;
  }
  std::int64_t out_elements() const { return s_.out[0] * s_.out[1] * s_.o; }
  /// Channel of a lane of a phase.
  std::int64_t channel(std::int64_t phase, std::int64_t lane) const { return (phase * k_.lanes + lane) % s_.o; }

  /// Filters and bias as the lanes want them: [phase][tap][lane], then [phase][lane].
  void spread(const float* filters, const float* bias, float* table) const {
    float* biases = table + phases_ * taps_ * k_.lanes;
    for (std::int64_t phase = 0; phase < phases_; ++phase)
      for (std::int64_t lane = 0; lane < k_.lanes; ++lane) {
        const std::int64_t o = channel(phase, lane);
        biases[phase * k_.lanes + lane] = bias != nullptr ? bias[o] : 0.0f;
        for (std::int64_t tap = 0; tap < taps_; ++tap)
          table[(phase * taps_ + tap) * k_.lanes + lane] = filters[o * taps_ + tap];
      }
  }

  void run_forward(const float* x, const float* filters, const float* bias, float* y, void* scratch) const {
    auto* table = static_cast<float*>(scratch);
    spread(filters, bias, table);
    parallel_for(threads_, s_.n, [&](std::int64_t n) {
      auto* padded = reinterpret_cast<float*>(static_cast<std::byte*>(scratch) + table_bytes() +
                                              static_cast<std::size_t>(n) * padded_.bytes());
      padded_.fill(x + n * s_.in[0] * s_.in[1], padded);
      k_.forward(geometry_, padded, table, table + phases_ * taps_ * k_.lanes, s_.relu, y + n * out_elements());
    });
  }

  void run_filters(const float* x, const float* dy, float* dbias, float* dfilters, void* scratch) const {
    const auto at = [&](std::int64_t g) {
      return static_cast<std::byte*>(scratch) +
             static_cast<std::size_t>(g) * (padded_.bytes() + sums_bytes() + image_sums_bytes());
    };
    parallel_for(threads_, groups(), [&](std::int64_t g) {
      auto* sums = reinterpret_cast<double*>(at(g));
      auto* image_sums = reinterpret_cast<float*>(at(g) + sums_bytes());
      auto* padded = reinterpret_cast<float*>(at(g) + sums_bytes() + image_sums_bytes());
      std::fill_n(sums, sum_count(), 0.0);
      for (std::int64_t n = g * kImagesPerGroup; n < std::min(s_.n, (g + 1) * kImagesPerGroup); ++n) {
        padded_.fill(x + n * s_.in[0] * s_.in[1], padded);
        std::fill_n(image_sums, sum_count(), 0.0f);
        k_.backward_filters(geometry_, padded, dy + n * out_elements(), image_sums);
        for (std::int64_t i = 0; i < sum_count(); ++i) sums[i] += static_cast<double>(image_sums[i]);
      }
    });
    auto* total = reinterpret_cast<double*>(at(0));
    for (std::int64_t g = 1; g < groups(); ++g)
      for (std::int64_t i = 0; i < sum_count(); ++i) total[i] += reinterpret_cast<const double*>(at(g))[i];
    fold(total, dbias, dfilters);
  }

  /// Adds up the lanes of each channel.
  void fold(const double* sums, float* dbias, float* dfilters) const {
    double totals[kMaxOutputs * (kMaxTaps + 1)] = {};
    for (std::int64_t phase = 0; phase < phases_; ++phase)
      for (std::int64_t lane = 0; lane < k_.lanes; ++lane) {
        double* to = totals + channel(phase, lane) * (taps_ + 1);
        for (std::int64_t tap = 0; tap <= taps_; ++tap)
          to[tap] += sums[(phase * (taps_ + 1) + tap) * k_.lanes + lane];
      }
    for (std::int64_t o = 0; o < s_.o; ++o) {
      for (std::int64_t tap = 0; tap < taps_; ++tap)
        dfilters[o * taps_ + tap] = static_cast<float>(totals[o * (taps_ + 1) + tap]);
      if (dbias != nullptr) dbias[o] = static_cast<float>(totals[o * (taps_ + 1) + taps_]);
    }
  }
};

class NarrowData final : public LayerPrimitive {
 public:
  NarrowData(const ConvSizes& s, int threads) : s_(s), threads_(threads), padded_(s), k_(kernels()) {
    g_ = {.kernel_rows = s.kernel[0],
          .run = s.kernel[1] * s.c,
          .out_rows = s.out[0],
          .out_width = s.out[1],
          .channels = s.o,
          .row_stride = s.stride[0] * padded_.step(),
          .pixel_stride = s.stride[1] * s.c,
          .in_step = padded_.step()};
  }
  std::string implementation() const override { return vector_name(); }
  std::size_t scratch_bytes() const override {
    return packed_bytes() + static_cast<std::size_t>(s_.n) * padded_.bytes();
  }

  void run(const float* dy, const float* filters, float*, float* dx, void* scratch) override {
    auto* packed = static_cast<float*>(scratch);
    pack(filters, packed);
    parallel_for(threads_, s_.n, [&](std::int64_t n) {
      auto* padded = reinterpret_cast<float*>(static_cast<std::byte*>(scratch) + packed_bytes() +
                                              static_cast<std::size_t>(n) * padded_.bytes());
      std::fill_n(padded, padded_.bytes() / sizeof(float), 0.0f);
      k_.narrow_backward_data(g_, dy + n * s_.out[0] * s_.out[1] * s_.o, packed, padded);
      padded_.take(padded, dx + n * s_.in[0] * s_.in[1] * s_.c);
    });
  }

 private:
  ConvSizes s_;
  int threads_;
  Padded padded_;
  const SmallConvKernels& k_;
  NarrowGeometry g_;

  std::int64_t width() const { return k_.packed_run(g_.run); }
  std::size_t packed_bytes() const {
    return round_up_64(static_cast<std::size_t>(s_.kernel[0] * s_.o * width()) * sizeof(float));
  }
  /// [kernel row][o][width], zero beyond the run.
  void pack(const float* filters, float* packed) const {
    std::fill_n(packed, s_.kernel[0] * s_.o * width(), 0.0f);
    for (std::int64_t i = 0; i < s_.kernel[0]; ++i)
      for (std::int64_t o = 0; o < s_.o; ++o)
        std::copy_n(filters + (o * s_.kernel[0] + i) * g_.run, g_.run, packed + (i * s_.o + o) * width());
  }
};

std::string unsuited(const ConvSizes& s, Direction direction) {
  if (s.axes != 2 || s.groups != 1 || s.dilation[0] != 1 || s.dilation[1] != 1)
    return "two axes, one group, no dilation only";
  if (direction == Direction::backward_data) {
    if (s.c > 8 || s.kernel[1] * s.c > 32) return "backward data for kernel rows of at most 32 floats only";
    return {};
  }
  if (s.c != 1 || s.o > kMaxOutputs) return "one input channel and at most 16 outputs only";
  if (s.kernel[0] != s.kernel[1] || (s.kernel[0] != 3 && s.kernel[0] != 5)) return "kernels 3x3 and 5x5 only";
  if (s.stride[0] != 1 || s.stride[1] != 1) return "stride 1 only";
  // The input under a vector of outputs must fit a vector.
  if ((kernels().lanes - 1) / s.o + 1 + s.kernel[1] > kernels().lanes) return "too few outputs for this kernel";
  return {};
}

/// Runs a dense primitive: the operands lie in memory as the convolution's do.
std::string not_dense(const ConvSizes& s) {
  if (s.groups != 1) return "one group only";
  for (std::size_t a = 0; a < static_cast<std::size_t>(s.axes); ++a)
    if (s.kernel[a] != s.in[a] || s.pad_low[a] != 0 || s.pad_high[a] != 0 ||
        (s.dilation[a] != 1 && s.kernel[a] != 1))
      return "the kernel is not the whole image";
  return {};
}

}  // namespace

std::unique_ptr<LayerPrimitive> make_conv_small(const ConvSizes& sizes, Direction direction, int threads,
                                                std::string* reason) {
  *reason = unsuited(sizes, direction);
  if (!reason->empty()) return nullptr;
  if (direction == Direction::backward_data) return std::make_unique<NarrowData>(sizes, threads);
  return std::make_unique<OneChannel>(sizes, direction == Direction::forward, threads);
}

std::unique_ptr<LayerPrimitive> make_conv_dense(const ConvSizes& sizes, Direction direction, int threads,
                                                std::string* reason) {
  *reason = not_dense(sizes);
  if (!reason->empty()) return nullptr;
  DenseSizes dense{.n = sizes.n, .f = sizes.c, .o = sizes.o, .bias = sizes.bias, .relu = sizes.relu};
  for (std::size_t a = 0; a < static_cast<std::size_t>(sizes.axes); ++a) dense.f *= sizes.in[a];
  return onednn::make_dense(dense, direction, threads, reason);
}

}  // namespace convoy::cpu
