#include "core/backend/cpu/conv_loop.h"

#include <algorithm>
#include <vector>

#include "core/backend/cpu/kernel.h"

namespace convoy::cpu {
namespace {

/// Three spatial axes; those that are missing have extent, kernel and stride 1.
struct Geometry : ConvSizes {
  std::int64_t c_group, o_group, taps, in_pixels, out_pixels;

  explicit Geometry(const ConvSizes& sizes) : ConvSizes(sizes) {
    for (std::size_t a = static_cast<std::size_t>(axes); a < 3; ++a) {
      in[a] = out[a] = kernel[a] = stride[a] = dilation[a] = 1;
      pad_low[a] = 0;
    }
    c_group = c / groups;
    o_group = o / groups;
    taps = kernel[0] * kernel[1] * kernel[2];
    in_pixels = in[0] * in[1] * in[2];
    out_pixels = out[0] * out[1] * out[2];
  }

  /// Calls body(input pixel, tap) for the taps of an output pixel that lie within the image.
  template <typename Body>
  void for_taps(std::int64_t pixel, Body body) const {
    const std::array<std::int64_t, 3> t{pixel / (out[1] * out[2]), pixel / out[2] % out[1], pixel % out[2]};
    std::array<std::int64_t, 3> start;
    for (std::size_t a = 0; a < 3; ++a) start[a] = t[a] * stride[a] - pad_low[a];
    std::int64_t tap = 0;
    for (std::int64_t i = 0; i < kernel[0]; ++i)
      for (std::int64_t j = 0; j < kernel[1]; ++j)
        for (std::int64_t k = 0; k < kernel[2]; ++k, ++tap) {
          const std::int64_t s0 = start[0] + i * dilation[0], s1 = start[1] + j * dilation[1],
                             s2 = start[2] + k * dilation[2];
          if (s0 < 0 || s0 >= in[0] || s1 < 0 || s1 >= in[1] || s2 < 0 || s2 >= in[2]) continue;
          body((s0 * in[1] + s1) * in[2] + s2, tap);
        }
  }
};

class ConvLoop final : public LayerPrimitive {
 public:
  ConvLoop(const ConvSizes& sizes, Direction direction, int threads)
      : g_(sizes), direction_(direction), threads_(threads) {}
  std::size_t scratch_bytes() const override { return 0; }
  std::string implementation() const override { return "loop"; }
  void run(const float* a, const float* b, float* bias, float* result, void*) override {
    if (direction_ == Direction::forward)
      parallel_for(threads_, g_.n, [&](std::int64_t n) { forward(n, a, b, bias, result); });
    else if (direction_ == Direction::backward_data)
      parallel_for(threads_, g_.n, [&](std::int64_t n) { backward_data(n, a, b, result); });
    else
      parallel_for(threads_, g_.o, [&](std::int64_t o) { backward_filters(o, a, b, bias, result); });
  }

 private:
  Geometry g_;
  Direction direction_;
  int threads_;

  void forward(std::int64_t n, const float* x, const float* filters, const float* bias, float* y) const {
    for (std::int64_t p = 0; p < g_.out_pixels; ++p)
      for (std::int64_t o = 0; o < g_.o; ++o) {
        const std::int64_t first = o / g_.o_group * g_.c_group;
        double sum = bias != nullptr ? static_cast<double>(bias[o]) : 0.0;
        g_.for_taps(p, [&](std::int64_t pixel, std::int64_t tap) {
          const float* from = x + (n * g_.in_pixels + pixel) * g_.c + first;
          const float* filter = filters + (o * g_.taps + tap) * g_.c_group;
          for (std::int64_t c = 0; c < g_.c_group; ++c)
            sum += static_cast<double>(from[c]) * static_cast<double>(filter[c]);
        });
        const float value = static_cast<float>(sum);
        y[(n * g_.out_pixels + p) * g_.o + o] = g_.relu && value < 0.0f ? 0.0f : value;
      }
  }

  void backward_data(std::int64_t n, const float* dy, const float* filters, float* dx) const {
    std::fill_n(dx + n * g_.in_pixels * g_.c, g_.in_pixels * g_.c, 0.0f);
    for (std::int64_t p = 0; p < g_.out_pixels; ++p)
      for (std::int64_t o = 0; o < g_.o; ++o) {
        const float d = dy[(n * g_.out_pixels + p) * g_.o + o];
        const std::int64_t first = o / g_.o_group * g_.c_group;
        g_.for_taps(p, [&](std::int64_t pixel, std::int64_t tap) {
          float* to = dx + (n * g_.in_pixels + pixel) * g_.c + first;
          const float* filter = filters + (o * g_.taps + tap) * g_.c_group;
          for (std::int64_t c = 0; c < g_.c_group; ++c) to[c] += d * filter[c];
        });
      }
  }

  void backward_filters(std::int64_t o, const float* x, const float* dy, float* dbias, float* dfilters) const {
    std::vector<double> sums(static_cast<std::size_t>(g_.taps * g_.c_group));
    double bias_sum = 0;
    const std::int64_t first = o / g_.o_group * g_.c_group;
    for (std::int64_t n = 0; n < g_.n; ++n)
      for (std::int64_t p = 0; p < g_.out_pixels; ++p) {
        const double d = static_cast<double>(dy[(n * g_.out_pixels + p) * g_.o + o]);
        bias_sum += d;
        g_.for_taps(p, [&](std::int64_t pixel, std::int64_t tap) {
          const float* from = x + (n * g_.in_pixels + pixel) * g_.c + first;
          double* to = sums.data() + tap * g_.c_group;
          for (std::int64_t c = 0; c < g_.c_group; ++c) to[c] += d * static_cast<double>(from[c]);
        });
      }
    float* to = dfilters + o * g_.taps * g_.c_group;
    for (std::size_t i = 0; i < sums.size(); ++i) to[i] = static_cast<float>(sums[i]);
    if (dbias != nullptr) dbias[o] = static_cast<float>(bias_sum);
  }
};

}  // namespace

std::unique_ptr<LayerPrimitive> make_conv_loop(const ConvSizes& sizes, Direction direction, int threads,
                                               std::string*) {
  return std::make_unique<ConvLoop>(sizes, direction, threads);
}

}  // namespace convoy::cpu
