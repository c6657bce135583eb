#include "core/backend/cpu/vector/winograd.h"

#include "core/backend/cpu/vector/block_multiply.h"
#include "core/backend/cpu/vector/simd_bf16.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

/// t = B^T d.
CONVOY_INLINE void input_1d(const Vec d0, const Vec d1, const Vec d2, const Vec d3, const Vec d4, const Vec d5,
                            Vec* t) {
  const Vec four = broadcast(4), minus_four = broadcast(-4), minus_five = broadcast(-5), two = broadcast(2),
            minus_two = broadcast(-2);
  const Vec even = fma(minus_four, d2, d4), odd = fma(minus_four, d1, d3);
  const Vec near = sub(d4, d2), far = sub(d3, d1);
  t[0] = fma(four, d0, fma(minus_five, d2, d4));
  t[1] = add(even, odd);
  t[2] = sub(even, odd);
  t[3] = fma(two, far, near);
  t[4] = fma(minus_two, far, near);
  t[5] = fma(four, d1, fma(minus_five, d3, d5));
}

/// o = A^T m.
CONVOY_INLINE void output_1d(const Vec m0, const Vec m1, const Vec m2, const Vec m3, const Vec m4, const Vec m5,
                             Vec* o) {
  const Vec sum1 = add(m1, m2), difference1 = sub(m1, m2), sum2 = add(m3, m4), difference2 = sub(m3, m4);
  o[0] = add(m0, add(sum1, sum2));
  o[1] = fma(broadcast(2), difference2, difference1);
  o[2] = fma(broadcast(4), sum2, sum1);
  o[3] = add(m5, fma(broadcast(8), difference2, difference1));
}

/// z = A d.
CONVOY_INLINE void gradient_1d(const Vec d0, const Vec d1, const Vec d2, const Vec d3, Vec* z) {
  const Vec four = broadcast(4);
  const Vec even = add(d0, d2), odd = add(d1, d3);
  const Vec far_even = fma(four, d2, d0), far_odd = mul(broadcast(2), fma(four, d3, d1));
  z[0] = d0;
  z[1] = add(even, odd);
  z[2] = sub(even, odd);
  z[3] = add(far_even, far_odd);
  z[4] = sub(far_even, far_odd);
  z[5] = d3;
}

/// u = G g.
CONVOY_INLINE void filter_1d(const Vec g0, const Vec g1, const Vec g2, Vec* u) {
  const Vec sixth = broadcast(-1.0f / 6), near = add(g0, g2);
  const Vec far = fma(broadcast(1.0f / 6), g2, mul(broadcast(1.0f / 24), g0)),
            middle = mul(broadcast(1.0f / 12), g1);
  u[0] = mul(broadcast(0.25f), g0);
  u[1] = mul(sixth, add(near, g1));
  u[2] = mul(sixth, sub(near, g1));
  u[3] = add(far, middle);
  u[4] = sub(far, middle);
  u[5] = g2;
}

/// g = G^T u.
CONVOY_INLINE void filter_adjoint_1d(const Vec u0, const Vec u1, const Vec u2, const Vec u3, const Vec u4,
                                     const Vec u5, Vec* g) {
  const Vec sum1 = add(u1, u2), difference1 = sub(u2, u1), sum2 = add(u3, u4), difference2 = sub(u3, u4);
  const Vec sixth = broadcast(1.0f / 6), minus_sixth = broadcast(-1.0f / 6);
  g[0] = fma(minus_sixth, sum1, fma(broadcast(1.0f / 24), sum2, mul(broadcast(0.25f), u0)));
  g[1] = fma(sixth, difference1, mul(broadcast(1.0f / 12), difference2));
  g[2] = fma(minus_sixth, sum1, fma(sixth, sum2, u5));
}

template <typename T>
alignas(64) constexpr T kZeros[kLanes] = {};

/// One vector of a pixel's channels. A tile wholly inside its image (Inside) needs no look at the sign of the
/// offset; for the others zeros are read by address: a branch would be guessed wrong at every border.
template <bool Inside, typename T>
CONVOY_INLINE Vec pixel(const T* image, i64 offset, i64 c) {
  if (Inside) return load(image + offset + c);
  const auto there = reinterpret_cast<std::uintptr_t>(image + offset + c);
  const auto none = static_cast<std::uintptr_t>(offset >> 63);  // all ones outside
  return load(
      reinterpret_cast<const T*>((there & ~none) | (reinterpret_cast<std::uintptr_t>(kZeros<T>) & none)));
}

template <bool Inside, typename T>
CONVOY_INLINE void transform_input_tile(const T* image, const std::int32_t* offsets, i64 channels,
                                        float* tile, i64 stride) {
  for (i64 c = 0; c < channels; c += kLanes) {
    Vec rows[6][6], column[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      const std::int32_t* at = offsets + 6 * i;
      input_1d(pixel<Inside>(image, at[0], c), pixel<Inside>(image, at[1], c), pixel<Inside>(image, at[2], c),
               pixel<Inside>(image, at[3], c), pixel<Inside>(image, at[4], c), pixel<Inside>(image, at[5], c),
               rows[i]);
    }
    float* place = tile + c;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      input_1d(rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j], column);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i, place += stride) store(place, column[i]);
    }
  }
}

template <bool Inside, typename T>
CONVOY_INLINE void transform_gradient_tile(const T* image, const std::int32_t* offsets, i64 channels,
                                           float* tile, i64 stride) {
  for (i64 c = 0; c < channels; c += kLanes) {
    Vec rows[4][6], column[6];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const std::int32_t* at = offsets + 4 * i;
      gradient_1d(pixel<Inside>(image, at[0], c), pixel<Inside>(image, at[1], c),
                  pixel<Inside>(image, at[2], c), pixel<Inside>(image, at[3], c), rows[i]);
    }
    float* place = tile + c;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      gradient_1d(rows[0][j], rows[1][j], rows[2][j], rows[3][j], column);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i, place += stride) store(place, column[i]);
    }
  }
}

template <typename T>
void transform_input(const T* image, const std::int32_t* offsets, bool inside, i64 channels, float* tile,
                     i64 stride) {
  if (inside)
    transform_input_tile<true>(image, offsets, channels, tile, stride);
  else
    transform_input_tile<false>(image, offsets, channels, tile, stride);
}

template <typename T>
void transform_gradient(const T* image, const std::int32_t* offsets, bool inside, i64 channels, float* tile,
                        i64 stride) {
  if (inside)
    transform_gradient_tile<true>(image, offsets, channels, tile, stride);
  else
    transform_gradient_tile<false>(image, offsets, channels, tile, stride);
}

template <typename T>
void transform_output(const float* tile, i64 stride, i64 channels, const float* bias, bool relu, T* image,
                      const std::int32_t* offsets, bool inside) {
  const Vec floor = broadcast(relu ? 0.0f : -__builtin_inff());
  for (i64 c = 0; c < channels; c += kLanes) {
    Vec columns[6][4], row[4];
    const float* place = tile + c;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j, place += 6 * stride)
      output_1d(load(place), load(place + stride), load(place + 2 * stride), load(place + 3 * stride),
                load(place + 4 * stride), load(place + 5 * stride), columns[j]);
    const Vec shift = bias != nullptr ? load(bias + c) : zero();
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      output_1d(columns[0][i], columns[1][i], columns[2][i], columns[3][i], columns[4][i], columns[5][i], row);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        if (const i64 at = offsets[4 * i + j]; inside || at >= 0)
          store(image + at + c, max(floor, add(row[j], shift)));
    }
  }
}

/// Transformed filters [rows, columns] lie in panels of two vectors of columns, one after the other, so that a
/// product walks through memory in order.
constexpr i64 kPanel = 2 * kLanes;

CONVOY_INLINE i64 panel_width(i64 column, i64 columns) { return smaller(kPanel, columns - column); }
CONVOY_INLINE i64 panel_offset(i64 row, i64 column, i64 rows, i64 columns) {
  const i64 first = column / kPanel * kPanel;
  return first * rows + row * panel_width(first, columns) + column - first;
}

/// 36 values of G g G^T from nine of g.
CONVOY_INLINE void transform_filter(const Vec* g, float* u, i64 stride) {
  Vec rows[3][6], column[6];
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) filter_1d(g[3 * i], g[3 * i + 1], g[3 * i + 2], rows[i]);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    filter_1d(rows[0][j], rows[1][j], rows[2][j], column);
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i, u += stride) store(u, column[i]);
  }
}

/// to[k][i] = from[i][k] for kLanes filters and channels.
CONVOY_INLINE void turn(const float* from, i64 step, float* to) { transpose(from, step, to, kLanes); }
CONVOY_INLINE void turn(const Bf16* from, i64 step, float* to) {
  float wide[kLanes][kLanes];
  for (i64 i = 0; i < kLanes; ++i) store(wide[i], load(from + i * step));
  transpose(wide[0], kLanes, to, kLanes);
}

template <typename T>
void transform_filters(const T* filters, i64 first, i64 o, i64 c, float* transformed) {
  float turned[9][kLanes][kLanes];  // [tap][c][o] of a block
  for (i64 first_o = first; first_o < first + kWinogradFilters; first_o += kLanes)
    for (i64 first_c = 0; first_c < c; first_c += kLanes) {
      for (i64 tap = 0; tap < 9; ++tap) turn(filters + (first_o * 9 + tap) * c + first_c, 9 * c, &turned[tap][0][0]);
      for (i64 k = 0; k < kLanes; ++k) {
        Vec g[9];
#pragma GCC unroll 9
        for (int tap = 0; tap < 9; ++tap) g[tap] = load(turned[tap][k]);
        transform_filter(g, transformed + panel_offset(first_c + k, first_o, c, o), c * o);
      }
    }
}

template <typename T>
void transform_turned_filters(const T* filters, i64 first, i64 o, i64 c, float* transformed) {
  for (i64 row = first; row < first + kWinogradFilters; ++row)
    for (i64 column = 0; column < c; column += kLanes) {
      Vec g[9];
#pragma GCC unroll 9
      for (int tap = 0; tap < 9; ++tap) g[tap] = load(filters + (row * 9 + 8 - tap) * c + column);
      transform_filter(g, transformed + panel_offset(row, column, o, c), c * o);
    }
}

void finish_filters(const float* const* sums, i64 parts, i64 first, i64 o, i64 c, float* filters) {
  const i64 stride = o * c;
  for (i64 row = first; row < first + kWinogradFilters; ++row)
    for (i64 column = 0; column < c; column += kLanes) {
      Vec columns[6][3], g[3];
      i64 place = row * c + column;
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) {
        Vec u[6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i, place += stride) {
          u[i] = load(sums[0] + place);
          for (i64 p = 1; p < parts; ++p) u[i] = add(u[i], load(sums[p] + place));
        }
        filter_adjoint_1d(u[0], u[1], u[2], u[3], u[4], u[5], columns[j]);
      }
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) {
        filter_adjoint_1d(columns[0][i], columns[1][i], columns[2][i], columns[3][i], columns[4][i],
                          columns[5][i], g);
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) store(filters + (row * 9 + 3 * i + j) * c + column, g[j]);
      }
    }
}

// Rows of a block whose columns are one or two vectors: 16 sums in registers with AVX-512, 8 with AVX2.
constexpr int kNarrowRows = kLanes == 16 ? 16 : 8, kWideRows = kLanes == 16 ? 8 : 4;

/// All blocks of a product; n is a multiple of kLanes, rows of 16. The panel of b that begins in column c
/// starts at b + c * panel_step, its rows `b_step` floats apart (0: the panel's own width).
CONVOY_INLINE void multiply_blocks(const float* a, i64 row_step, i64 k_step, const float* b, i64 panel_step,
                                   i64 b_step, float* c, i64 rows, i64 k, i64 n, bool accumulate) {
  for (i64 column = 0; column < n; column += kPanel) {
    const i64 width = panel_width(column, n), step = b_step == 0 ? width : b_step;
    const float* panel = b + column * panel_step;
    if (width == kPanel)
      for (i64 row = 0; row < rows; row += kWideRows)
        multiply_block<kWideRows, 2>(a + row * row_step, row_step, k_step, panel, step, k, c + row * n + column,
                                     n, accumulate);
    else
      for (i64 row = 0; row < rows; row += kNarrowRows)
        multiply_block<kNarrowRows, 1>(a + row * row_step, row_step, k_step, panel, step, k,
                                       c + row * n + column, n, accumulate);
  }
}

void multiply(const float* a, const float* b, float* result, i64 rows, i64 k, i64 n) {
  multiply_blocks(a, k, 1, b, k, 0, result, rows, k, n, false);
}

void accumulate(const float* a, const float* b, float* sums, i64 rows, i64 k, i64 n, bool first) {
  multiply_blocks(a, 1, rows, b, 1, n, sums, rows, k, n, !first);
}

}  // namespace

const WinogradKernels winograd_kernels = {
    .f32 = {transform_input<float>, transform_gradient<float>, transform_output<float>, transform_filters<float>,
            transform_turned_filters<float>},
    .bf16 = {transform_input<Bf16>, transform_gradient<Bf16>, transform_output<Bf16>, transform_filters<Bf16>,
             transform_turned_filters<Bf16>},
    .finish_filters = finish_filters,
    .multiply = multiply,
    .accumulate = accumulate,
};

}  // namespace convoy::cpu::CONVOY_ISA
