#include "core/backend/cpu/vector/small_conv.h"

#include "core/backend/cpu/vector/block_multiply.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

/// Where a vector of an output row begins: its first pixel, and for each lane how many pixels after that it
/// lies.
struct Run {
  i64 pixel;
  alignas(64) std::int32_t after[kLanes];
};

CONVOY_INLINE void start_run(Run& run, i64 first_float, i64 channels) {
  run.pixel = first_float / channels;
  for (i64 lane = 0; lane < kLanes; ++lane)
    run.after[lane] = static_cast<std::int32_t>((first_float + lane) / channels - run.pixel);
}

constexpr i64 kRowsAtOnce = 4;

/// Rows [row, row + Rows) of one vector's place: each spread input vector serves every row whose kernel covers
/// it.
template <int Kernel, int Rows>
CONVOY_INLINE void forward_rows(const float* padded, i64 in_step, const Run& run, const float* weights,
                                Vec bias, Vec floor, float* y, i64 y_step, i64 count) {
  Vec total[Rows];
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) total[r] = bias;
#pragma GCC unroll 5
  for (int j = 0; j < Kernel; ++j) {
    const Lanes after = load_lanes(run.after, j);
    Vec w[Kernel];  // a column of the kernel stays in registers for all rows
#pragma GCC unroll 5
    for (int i = 0; i < Kernel; ++i) w[i] = load(weights + (i * Kernel + j) * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < Rows + Kernel - 1; ++i) {
      const Vec x = permute(load(padded + i * in_step + run.pixel), after);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r)
        if (i - r >= 0 && i - r < Kernel) total[r] = fma(x, w[i - r], total[r]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) store(y + r * y_step, max(floor, total[r]), count);
}

template <int Kernel>
CONVOY_INLINE void forward_image(const OneChannelGeometry& g, const float* padded, const float* weights,
                                 const float* bias, bool relu, float* y) {
  const i64 row = g.out_width * g.channels;
  const Vec floor = broadcast(relu ? 0.0f : -__builtin_inff());
  Run run;
  for (i64 at = 0, phase = 0; at < row; at += kLanes) {
    start_run(run, at, g.channels);
    const i64 count = smaller(kLanes, row - at);
    const float* w = weights + phase * Kernel * Kernel * kLanes;
    const Vec shift = load(bias + phase * kLanes);
    i64 r = 0;
    for (; r + kRowsAtOnce <= g.out_rows; r += kRowsAtOnce)
      forward_rows<Kernel, kRowsAtOnce>(padded + r * g.in_step, g.in_step, run, w, shift, floor,
                                        y + r * row + at, row, count);
    for (; r < g.out_rows; ++r)
      forward_rows<Kernel, 1>(padded + r * g.in_step, g.in_step, run, w, shift, floor, y + r * row + at, row,
                              count);
    phase = (at + kLanes) % g.channels == 0 ? 0 : phase + 1;
  }
}

void forward(const OneChannelGeometry& g, const float* padded, const float* weights, const float* bias,
             bool relu, float* y) {
  if (g.kernel == 3)
    forward_image<3>(g, padded, weights, bias, relu, y);
  else
    forward_image<5>(g, padded, weights, bias, relu, y);
}

/// A few kernel rows of one vector's place, added up over all rows of the image.
template <int Kernel, int KernelRows>
CONVOY_INLINE void filter_sums(const OneChannelGeometry& g, const float* padded, const Run& run,
                               const float* dy, i64 dy_step, i64 count, float* sums, float* bias_sums) {
  Vec total[KernelRows][Kernel], bias_total = zero();
  Lanes after[Kernel];
#pragma GCC unroll 5
  for (int j = 0; j < Kernel; ++j) after[j] = load_lanes(run.after, j);
#pragma GCC unroll 5
  for (int i = 0; i < KernelRows; ++i)
#pragma GCC unroll 5
    for (int j = 0; j < Kernel; ++j) total[i][j] = load(sums + (i * Kernel + j) * kLanes);
  for (i64 r = 0; r < g.out_rows; ++r) {
    const Vec d = load(dy + r * dy_step, count);
    bias_total = add(bias_total, d);
#pragma GCC unroll 5
    for (int i = 0; i < KernelRows; ++i) {
      const Vec x = load(padded + (r + i) * g.in_step + run.pixel);
#pragma GCC unroll 5
      for (int j = 0; j < Kernel; ++j) total[i][j] = fma(d, permute(x, after[j]), total[i][j]);
    }
  }
#pragma GCC unroll 5
  for (int i = 0; i < KernelRows; ++i)
#pragma GCC unroll 5
    for (int j = 0; j < Kernel; ++j) store(sums + (i * Kernel + j) * kLanes, total[i][j]);
  if (bias_sums != nullptr) store(bias_sums, add(load(bias_sums), bias_total));
}

/// Kernel rows taken together: as many as leave registers for their sums.
template <int Kernel>
CONVOY_INLINE void filters_image(const OneChannelGeometry& g, const float* padded, const float* dy,
                                 float* sums) {
  constexpr int kFirst = kLanes == 16 ? 3 : 1, kRest = Kernel - kFirst,
                kThen = kLanes == 16 ? (kRest > 0 ? kRest : 1) : 1;
  const i64 row = g.out_width * g.channels;
  Run run;
  for (i64 at = 0, phase = 0; at < row; at += kLanes) {
    start_run(run, at, g.channels);
    const i64 count = smaller(kLanes, row - at);
    float* phase_sums = sums + phase * (Kernel * Kernel + 1) * kLanes;
    filter_sums<Kernel, kFirst>(g, padded, run, dy + at, row, count, phase_sums,
                                phase_sums + Kernel * Kernel * kLanes);
    for (int i = kFirst; i < Kernel; i += kThen)
      filter_sums<Kernel, kThen>(g, padded + i * g.in_step, run, dy + at, row, count,
                                 phase_sums + i * Kernel * kLanes, nullptr);
    phase = (at + kLanes) % g.channels == 0 ? 0 : phase + 1;
  }
}

void backward_filters(const OneChannelGeometry& g, const float* padded, const float* dy, float* sums) {
  if (g.kernel == 3)
    filters_image<3>(g, padded, dy, sums);
  else
    filters_image<5>(g, padded, dy, sums);
}

/// Rows of one column of output pixels. They lie a whole input row apart, so that their sums do not overlap
/// while they are still on their way to the cache.
template <int Rows, int Vectors>
CONVOY_INLINE void spread_rows(const NarrowGeometry& g, const float* dy, const float* packed,
                               float* padded_dx) {
  alignas(64) float product[Rows * Vectors * kLanes];
  constexpr i64 kWidth = Vectors * kLanes;
  for (i64 i = 0; i < g.kernel_rows; ++i) {
    multiply_block<Rows, Vectors>(dy, g.out_width * g.channels, 1, packed + i * g.channels * kWidth, kWidth,
                                  g.channels, product, kWidth, false);
    for (int r = 0; r < Rows; ++r)
      for (i64 v = 0; v < kWidth; v += kLanes) {
        float* to = padded_dx + r * g.row_stride + i * g.in_step + v;
        store(to, add(load(to), load(product + r * kWidth + v)));
      }
  }
}

template <int Vectors>
CONVOY_INLINE void spread_image(const NarrowGeometry& g, const float* dy, const float* packed,
                                float* padded_dx) {
  constexpr int kRows = kLanes == 16 ? 16 / Vectors : 8 / Vectors;
  for (i64 x = 0; x < g.out_width; ++x) {
    i64 r = 0;
    for (; r + kRows <= g.out_rows; r += kRows)
      spread_rows<kRows, Vectors>(g, dy + (r * g.out_width + x) * g.channels, packed,
                                  padded_dx + r * g.row_stride + x * g.pixel_stride);
    for (; r + 2 <= g.out_rows; r += 2)
      spread_rows<2, Vectors>(g, dy + (r * g.out_width + x) * g.channels, packed,
                              padded_dx + r * g.row_stride + x * g.pixel_stride);
    for (; r < g.out_rows; ++r)
      spread_rows<1, Vectors>(g, dy + (r * g.out_width + x) * g.channels, packed,
                              padded_dx + r * g.row_stride + x * g.pixel_stride);
  }
}

i64 packed_run(i64 run) {
  if (run <= kLanes) return kLanes;
  return run <= 2 * kLanes ? 2 * kLanes : 4 * kLanes;
}

void narrow_backward_data(const NarrowGeometry& g, const float* dy, const float* packed, float* padded_dx) {
  switch (packed_run(g.run) / kLanes) {
    case 1:
      return spread_image<1>(g, dy, packed, padded_dx);
    case 2:
      return spread_image<2>(g, dy, packed, padded_dx);
    default:
      return spread_image<4>(g, dy, packed, padded_dx);
  }
}

}  // namespace

const SmallConvKernels small_conv_kernels = {
    .lanes = kLanes,
    .forward = forward,
    .backward_filters = backward_filters,
    .narrow_backward_data = narrow_backward_data,
    .packed_run = packed_run,
};

}  // namespace convoy::cpu::CONVOY_ISA
