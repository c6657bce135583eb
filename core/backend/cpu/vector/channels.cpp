#include "core/backend/cpu/vector/channels.h"

#include "core/backend/cpu/vector/simd_bf16.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

constexpr i64 kGroup = 4;  // vectors of a row handled together: independent sums hide the latency of the adder

/// Calls step(offset, column, count, vector) for all vectors of rows [0, n / period) that start in columns
/// [column, column + kGroup lanes); count < kLanes only in the last vector of a row.
template <typename Step>
CONVOY_INLINE void for_full_group(i64 rows, i64 period, i64 column, Step step) {
  for (i64 r = 0; r < rows; ++r)
    for (i64 v = 0; v < kGroup; ++v) step(r * period + column + v * kLanes, v);
}

/// Sums over rows, per column: `Sums` values per element, given by term(offset, count or full, Vec out[Sums]).
template <int Sums, typename Full, typename Part>
CONVOY_INLINE void column_sums(i64 n, i64 period, float* const* sums, Full full, Part part) {
  const i64 rows = n / period, tail = n % period;
  for (i64 column = 0; column < period;) {
    const i64 left = period - column;
    if (left >= kGroup * kLanes) {
      Vec total[Sums][kGroup];
      for (int s = 0; s < Sums; ++s)
        for (i64 v = 0; v < kGroup; ++v) total[s][v] = zero();
      for_full_group(rows, period, column, [&](i64 offset, i64 v) {
        Vec term[Sums];
        full(offset, column + v * kLanes, term);
        for (int s = 0; s < Sums; ++s) total[s][v] = add(total[s][v], term[s]);
      });
      for (int s = 0; s < Sums; ++s)
        for (i64 v = 0; v < kGroup; ++v) store(sums[s] + column + v * kLanes, total[s][v]);
      column += kGroup * kLanes;
    } else {
      const i64 count = smaller(left, kLanes);
      Vec total[Sums];
      for (int s = 0; s < Sums; ++s) total[s] = zero();
      for (i64 r = 0; r < rows; ++r) {
        Vec term[Sums];
        part(r * period + column, column, count, term);
        for (int s = 0; s < Sums; ++s) total[s] = add(total[s], term[s]);
      }
      for (int s = 0; s < Sums; ++s) store(sums[s] + column, total[s], count);
      column += count;
    }
  }
  for (i64 column = 0; column < tail; column += kLanes) {
    const i64 count = smaller(tail - column, kLanes);
    Vec term[Sums];
    part(rows * period + column, column, count, term);
    for (int s = 0; s < Sums; ++s) store(sums[s] + column, add(load(sums[s] + column, count), term[s]), count);
  }
}

template <typename T>
void sum(const T* x, float* sums, i64 n, i64 period) {
  float* const out[1] = {sums};
  column_sums<1>(
      n, period, out, [=](i64 i, i64, Vec* term) { term[0] = load(x + i); },
      [=](i64 i, i64, i64 count, Vec* term) { term[0] = load(x + i, count); });
}

void dot(const float* x, const float* y, float* sums, i64 n, i64 period) {
  float* const out[1] = {sums};
  column_sums<1>(
      n, period, out, [=](i64 i, i64, Vec* term) { term[0] = mul(load(x + i), load(y + i)); },
      [=](i64 i, i64, i64 count, Vec* term) { term[0] = mul(load(x + i, count), load(y + i, count)); });
}

template <typename T>
void moments(const T* x, float* sums, float* squares, float* means, i64 n, i64 period) {
  sum(x, sums, n, period);
  const i64 rows = n / period, tail = n % period;
  for (i64 c = 0; c < period; ++c) {
    const i64 count = rows + (c < tail ? 1 : 0);
    means[c] = count == 0 ? 0.0f : sums[c] / static_cast<float>(count);
  }
  float* const out[1] = {squares};
  column_sums<1>(
      n, period, out,
      [=](i64 i, i64 c, Vec* term) {
        const Vec d = sub(load(x + i), load(means + c));
        term[0] = mul(d, d);
      },
      [=](i64 i, i64 c, i64 count, Vec* term) {
        const Vec d = sub(load(x + i, count), load(means + c, count));
        term[0] = mul(d, d);
      });
}

CONVOY_INLINE Vec where_positive(Vec y, Vec d) { return select(greater(y, zero()), d, zero()); }

template <typename T>
void normalise_sums(const T* x, const float* mean, const T* dy, const T* y, T* masked, float* sums, float* products, i64 n,
                    i64 period) {
  float* const out[2] = {sums, products};
  const auto part = [=](i64 i, i64 c, i64 count, Vec* term) {
    Vec d = load(dy + i, count);
    if (y != nullptr) d = where_positive(load(y + i, count), d);
    if (masked != nullptr) store(masked + i, d, count);
    term[0] = d;
    term[1] = mul(d, sub(load(x + i, count), load(mean + c, count)));
  };
  if (masked != nullptr) {
    column_sums<2>(
        n, period, out,
        [=](i64 i, i64 c, Vec* term) {
          term[0] = where_positive(load(y + i), load(dy + i));
          store(masked + i, term[0]);
          term[1] = mul(term[0], sub(load(x + i), load(mean + c)));
        },
        part);
  } else if (y != nullptr) {
    column_sums<2>(
        n, period, out,
        [=](i64 i, i64 c, Vec* term) {
          term[0] = where_positive(load(y + i), load(dy + i));
          term[1] = mul(term[0], sub(load(x + i), load(mean + c)));
        },
        part);
  } else {
    column_sums<2>(
        n, period, out,
        [=](i64 i, i64 c, Vec* term) {
          term[0] = load(dy + i);
          term[1] = mul(term[0], sub(load(x + i), load(mean + c)));
        },
        part);
  }
}

/// Calls full(offset, column) or part(offset, column, count) for every vector of the range.
template <typename Full, typename Part>
CONVOY_INLINE void for_columns(i64 n, i64 period, Full full, Part part) {
  for (i64 row = 0; row < n; row += period) {
    const i64 width = smaller(period, n - row);
    i64 c = 0;
    for (; c + kLanes <= width; c += kLanes) full(row + c, c);
    if (c < width) part(row + c, c, width - c);
  }
}

void add_columns(const float* x, const float* b, float* y, i64 n, i64 period) {
  for_columns(
      n, period, [=](i64 i, i64 c) { store(y + i, add(load(x + i), load(b + c))); },
      [=](i64 i, i64 c, i64 count) { store(y + i, add(load(x + i, count), load(b + c, count)), count); });
}

void multiply_columns(const float* x, const float* g, float* y, i64 n, i64 period) {
  for_columns(
      n, period, [=](i64 i, i64 c) { store(y + i, mul(load(x + i), load(g + c))); },
      [=](i64 i, i64 c, i64 count) { store(y + i, mul(load(x + i, count), load(g + c, count)), count); });
}

template <typename T>
void normalise(const T* x, const float* mean, const float* scale, const float* shift, const T* residual, bool relu, T* y, i64 n,
               i64 period) {
  const Vec floor = broadcast(relu ? 0.0f : -__builtin_inff());
  const auto part = [=](i64 i, i64 c, i64 count) {
    Vec v = fma(sub(load(x + i, count), load(mean + c, count)), load(scale + c, count), load(shift + c, count));
    if (residual != nullptr) v = add(v, load(residual + i, count));
    store(y + i, max(floor, v), count);  // max(floor, v) hands on v if v is not a number
  };
  if (residual != nullptr) {
    for_columns(
        n, period,
        [=](i64 i, i64 c) {
          const Vec v = fma(sub(load(x + i), load(mean + c)), load(scale + c), load(shift + c));
          store(y + i, max(floor, add(v, load(residual + i))));
        },
        part);
  } else {
    for_columns(
        n, period,
        [=](i64 i, i64 c) {
          store(y + i, max(floor, fma(sub(load(x + i), load(mean + c)), load(scale + c), load(shift + c))));
        },
        part);
  }
}

template <typename T>
void normalise_backward(const T* x, const float* mean, const T* dy, const T* y, const float* a, const float* b, const float* c0,
                        T* dx, i64 n, i64 period) {
  const auto part = [=](i64 i, i64 c, i64 count) {
    Vec d = load(dy + i, count);
    if (y != nullptr) d = where_positive(load(y + i, count), d);
    const Vec centred = sub(load(x + i, count), load(mean + c, count));
    store(dx + i, fma(load(a + c, count), d, fma(load(b + c, count), centred, load(c0 + c, count))), count);
  };
  if (y != nullptr) {
    for_columns(
        n, period,
        [=](i64 i, i64 c) {
          const Vec d = where_positive(load(y + i), load(dy + i));
          const Vec centred = sub(load(x + i), load(mean + c));
          store(dx + i, fma(load(a + c), d, fma(load(b + c), centred, load(c0 + c))));
        },
        part);
  } else {
    for_columns(
        n, period,
        [=](i64 i, i64 c) {
          const Vec centred = sub(load(x + i), load(mean + c));
          store(dx + i, fma(load(a + c), load(dy + i), fma(load(b + c), centred, load(c0 + c))));
        },
        part);
  }
}

}  // namespace

const ChannelKernels channel_kernels = {
    .add = add_columns,
    .multiply = multiply_columns,
    .sum = sum<float>,
    .sum_bf16 = sum<Bf16>,
    .dot = dot,
    .norm = {normalise<float>, moments<float>, normalise_sums<float>, normalise_backward<float>},
    .norm_bf16 = {normalise<Bf16>, moments<Bf16>, normalise_sums<Bf16>, normalise_backward<Bf16>},
};

}  // namespace convoy::cpu::CONVOY_ISA
