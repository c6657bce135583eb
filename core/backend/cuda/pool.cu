// Pooling. An item is one position of a result with V neighbouring channels; backward gathers: each element of x visits
// the windows that hold it, in scan order, so that nothing is added from two sides. The sums are those of the cpu backend.
#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"
#include "core/ops/window.h"

namespace convoy::cuda {
namespace {

struct PoolShape {
  int in[3], out[3], kernel[3], stride[3], low[3];
  int last[3];  // where an average stops counting: the end of the image, or of its padding
  bool count_padding;
  std::uint32_t channels;
  Divisor packs, in_by[3], out_by[3], stride_by[3];
};

/// The part of a window that lies in the image, and where the window starts.
struct Part {
  int start[3], begin[3], end[3];
};

__device__ inline void clip(const PoolShape& s, int a, int t, Part& part) {
  part.start[a] = t * s.stride[a] - s.low[a];
  part.begin[a] = max(part.start[a], 0);
  part.end[a] = min(part.start[a] + s.kernel[a], s.in[a]);
}

/// Elements of x before the pixel.
__device__ inline std::int64_t pixel(const PoolShape& s, std::uint32_t sample, int i, int j, int k) {
  return (((static_cast<std::int64_t>(sample) * s.in[0] + i) * s.in[1] + j) * s.in[2] + k) * s.channels;
}

/// Position in the window, scan order.
__device__ inline int position(const PoolShape& s, const Part& p, int i, int j, int k) {
  return ((i - p.start[0]) * s.kernel[1] + (j - p.start[1])) * s.kernel[2] + (k - p.start[2]);
}

/// Positions of an axis that an average over the window from `start` on counts.
__device__ inline int counted(const PoolShape& s, int a, int start) {
  const int end = min(start + s.kernel[a], s.last[a]);
  return end - (s.count_padding ? start : max(start, 0));
}

/// The window of an item of y; leaves the sample in `rest`.
__device__ inline Part window_at(const PoolShape& s, std::uint32_t& rest) {
  Part part;
#pragma unroll
  for (int a = 2; a >= 0; --a) clip(s, a, static_cast<int>(s.out_by[a].take(rest)), part);
  return part;
}

/// The first of the largest elements of sign x, and its position in the window.
template <typename T, typename P, int V>
__global__ void extreme(PoolShape s, float sign, const T* x, T* y, P* winner, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = s.packs.take(rest) * V;
  const Part part = window_at(s, rest);
  float best[V], value[V];
  int chosen[V];
  load(x + pixel(s, rest, part.begin[0], part.begin[1], part.begin[2]) + c, best);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    best[v] *= sign;
    chosen[v] = position(s, part, part.begin[0], part.begin[1], part.begin[2]);
  }
  for (int i = part.begin[0]; i < part.end[0]; ++i)
    for (int j = part.begin[1]; j < part.end[1]; ++j)
      for (int k = part.begin[2]; k < part.end[2]; ++k) {
        load(x + pixel(s, rest, i, j, k) + c, value);
        const int here = position(s, part, i, j, k);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const bool better = sign * value[v] > best[v];
          best[v] = better ? sign * value[v] : best[v];
          chosen[v] = better ? here : chosen[v];
        }
      }
  const std::int64_t at = static_cast<std::int64_t>(item) * V;
#pragma unroll
  for (int v = 0; v < V; ++v) best[v] *= sign;
  if (y != nullptr) store(y + at, best);
  if (winner == nullptr) return;
  Pack<P, V> positions;
#pragma unroll
  for (int v = 0; v < V; ++v) positions.at[v] = static_cast<P>(chosen[v]);
  store_pack<V>(winner + at, positions);
}

/// Rows are summed apart, so that large windows do not lose digits.
template <typename T, int V>
__global__ void average(PoolShape s, const T* x, T* y, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = s.packs.take(rest) * V;
  const Part part = window_at(s, rest);
  float total[V] = {}, value[V];
  for (int i = part.begin[0]; i < part.end[0]; ++i)
    for (int j = part.begin[1]; j < part.end[1]; ++j) {
      float row[V] = {};
      for (int k = part.begin[2]; k < part.end[2]; ++k) {
        load(x + pixel(s, rest, i, j, k) + c, value);
#pragma unroll
        for (int v = 0; v < V; ++v) row[v] += value[v];
      }
#pragma unroll
      for (int v = 0; v < V; ++v) total[v] += row[v];
    }
  int count = 1;
#pragma unroll
  for (int a = 0; a < 3; ++a) count *= counted(s, a, part.start[a]);
  const float share = 1.0f / static_cast<float>(count);
#pragma unroll
  for (int v = 0; v < V; ++v) total[v] *= share;
  store(y + static_cast<std::int64_t>(item) * V, total);
}

// One window over a large image: sums of runs of positions first, then the sum of these.

constexpr int kRun = 128;

struct Runs {
  std::uint32_t positions, channels;
  Divisor packs, runs;
};

/// parts [n, runs, c] from x [n, positions, c].
template <typename T, int V>
__global__ void sum_runs(Runs r, const T* x, float* parts, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = r.packs.take(rest) * V;
  const std::uint32_t begin = r.runs.take(rest) * kRun, end = min(begin + kRun, r.positions);
  const T* from = x + (static_cast<std::int64_t>(rest) * r.positions + begin) * r.channels + c;
  float total[V] = {}, value[V];
#pragma unroll 4
  for (std::uint32_t p = begin; p < end; ++p, from += r.channels) {
    load(from, value);
#pragma unroll
    for (int v = 0; v < V; ++v) total[v] += value[v];
  }
  store(parts + static_cast<std::int64_t>(item) * V, total);
}

/// y [n, c]: an item is one channel of one sample.
template <typename T>
__global__ void average_of_runs(Runs r, const float* parts, T* y, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  const std::uint32_t sample = item / r.channels, c = item % r.channels;
  float total = 0;
  for (std::uint32_t run = 0; run < r.runs.value(); ++run)
    total += parts[(static_cast<std::int64_t>(sample) * r.runs.value() + run) * r.channels + c];
  y[item] = from_float<T>(total * (1.0f / static_cast<float>(r.positions)));
}

/// The windows of an axis that hold position p: first to last.
__device__ inline void windows_over(const PoolShape& s, int a, int p, int& first, int& last) {
  const int above = p + s.low[a], beyond = above - s.kernel[a];
  first = beyond < 0 ? 0 : static_cast<int>(s.stride_by[a].quotient(static_cast<std::uint32_t>(beyond))) + 1;
  last = min(static_cast<int>(s.stride_by[a].quotient(static_cast<std::uint32_t>(above))), s.out[a] - 1);
}

/// Calls visit(t, starts) for the windows that hold the pixel of an item of x, t counting positions of y [n, out..].
template <typename Visit>
__device__ inline void for_windows_over(const PoolShape& s, std::uint32_t rest, int (&at)[3], Visit visit) {
  int first[3], last[3];
#pragma unroll
  for (int a = 2; a >= 0; --a) {
    at[a] = static_cast<int>(s.in_by[a].take(rest));
    windows_over(s, a, at[a], first[a], last[a]);
  }
  for (int i = first[0]; i <= last[0]; ++i)
    for (int j = first[1]; j <= last[1]; ++j)
      for (int k = first[2]; k <= last[2]; ++k)
        visit(((static_cast<std::int64_t>(rest) * s.out[0] + i) * s.out[1] + j) * s.out[2] + k, i * s.stride[0] - s.low[0],
              j * s.stride[1] - s.low[1], k * s.stride[2] - s.low[2]);
}

template <typename T, typename P, int V>
__global__ void extreme_backward(PoolShape s, const T* dy, const P* winner, T* dx, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = s.packs.take(rest) * V;
  float total[V] = {};
  int at[3] = {};
  for_windows_over(s, rest, at, [&](std::int64_t t, int start0, int start1, int start2) {
    const int here = ((at[0] - start0) * s.kernel[1] + (at[1] - start1)) * s.kernel[2] + (at[2] - start2);
    const Pack<P, V> chosen = load_pack<V>(winner + t * s.channels + c);
    float value[V];
    load(dy + t * s.channels + c, value);
#pragma unroll
    for (int v = 0; v < V; ++v) total[v] += static_cast<int>(chosen.at[v]) == here ? value[v] : 0.0f;
  });
  store(dx + static_cast<std::int64_t>(item) * V, total);
}

template <typename T, int V>
__global__ void average_backward(PoolShape s, const T* dy, T* dx, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = s.packs.take(rest) * V;
  float total[V] = {};
  int at[3] = {};
  for_windows_over(s, rest, at, [&](std::int64_t t, int start0, int start1, int start2) {
    const int count = counted(s, 0, start0) * counted(s, 1, start1) * counted(s, 2, start2);
    const float share = 1.0f / static_cast<float>(count);
    float value[V];
    load(dy + t * s.channels + c, value);
#pragma unroll
    for (int v = 0; v < V; ++v) total[v] += share * value[v];
  });
  store(dx + static_cast<std::int64_t>(item) * V, total);
}

/// One pooling, seen from the host.
struct Pooling {
  PoolShape shape;
  std::int64_t samples, in, out, channels;  // positions of x and y
  bool average;
  float sign;        // -1: the minimum
  bool wide;         // winners are i32
  bool whole;        // one window over all of a large image
};

/// Positions and extents stay far from the ends of 32 bits.
bool too_large(const Window& w, std::int64_t channels, std::string* reason) {
  constexpr std::int64_t kMost = std::int64_t{1} << 29;
  for (std::size_t a = 0; a < 3; ++a)
    if (w.input[a] >= kMost || w.kernel[a] >= kMost || w.stride[a] >= kMost) {
      *reason = "extents, windows and strides of " + std::to_string(kMost) + " and more are beyond our kernels";
      return true;
    }
  return too_many(w.input_positions() * channels, reason) || too_many(w.output_positions() * channels, reason) ||
         too_many(w.taps(), reason);
}

Pooling pooling_of(const PoolAttributes& pool, const Shape& x, const Window& w) {
  Pooling p{};
  p.samples = x[0];
  p.in = w.input_positions();
  p.out = w.output_positions();
  p.channels = x[-1];
  p.average = pool.kind == PoolKind::average;
  p.sign = pool.kind == PoolKind::min ? -1.0f : 1.0f;
  p.wide = w.taps() > 256;
  p.whole = p.out == 1 && p.in >= 2 * kRun && p.in == w.taps();
  p.shape.channels = static_cast<std::uint32_t>(p.channels);
  p.shape.count_padding = pool.count_padding && !pool.global;
  for (std::size_t a = 0; a < 3; ++a) {
    p.shape.in[a] = static_cast<int>(w.input[a]);
    p.shape.out[a] = static_cast<int>(w.output[a]);
    p.shape.kernel[a] = static_cast<int>(w.kernel[a]);
    p.shape.stride[a] = static_cast<int>(w.stride[a]);
    p.shape.low[a] = static_cast<int>(w.pad_low[a]);
    p.shape.last[a] = static_cast<int>(w.input[a] + (p.shape.count_padding ? w.pad_high[a] : 0));
    p.shape.in_by[a] = Divisor(w.input[a]);
    p.shape.out_by[a] = Divisor(w.output[a]);
    p.shape.stride_by[a] = Divisor(w.stride[a]);
    p.whole = p.whole && w.pad_low[a] == 0;
  }
  return p;
}

/// Calls body(first sample, items) for launches over results of `positions` a sample.
template <typename Body>
void for_launches(const Pooling& p, std::int64_t positions, int v, Body body) {
  const std::int64_t items = positions * p.channels / v;
  for_samples(p.samples, items,
              [&](std::int64_t first, std::int64_t count) { body(first, static_cast<std::uint32_t>(count * items)); });
}

template <typename T, int V, typename P>
Bound bind_extreme(const Context& context, Pooling p) {
  return make_kernel(context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    T* y = output<T>(arguments, 0);
    P* winner = arguments.outputs.size() > 1 ? output<P>(arguments, 1) : nullptr;
    for_launches(p, p.out, V, [&](std::int64_t first, std::uint32_t items) {
      const std::int64_t at = first * p.out * p.channels;
      launch(extreme<T, P, V>, blocks_for(items), kThreads, stream, p.shape, p.sign,
             input<T>(arguments, 0) + first * p.in * p.channels, y != nullptr ? y + at : nullptr,
             winner != nullptr ? winner + at : nullptr, items);
    });
  }});
}

template <typename T, int V>
Bound bind_average(const Context& context, Pooling p) {
  return make_kernel(context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    for_launches(p, p.out, V, [&](std::int64_t first, std::uint32_t items) {
      launch(average<T, V>, blocks_for(items), kThreads, stream, p.shape, input<T>(arguments, 0) + first * p.in * p.channels,
             output<T>(arguments, 0) + first * p.out * p.channels, items);
    });
  }});
}

template <typename T, int V>
Bound bind_average_of_runs(const Context& context, Pooling p) {
  const std::int64_t runs = (p.in + kRun - 1) / kRun;
  const Runs r{static_cast<std::uint32_t>(p.in), static_cast<std::uint32_t>(p.channels), Divisor(p.channels / V), Divisor(runs)};
  KernelSpec spec;
  spec.implementation = "two-level";
  spec.scratch_bytes = static_cast<std::size_t>(p.samples * runs * p.channels) * sizeof(float);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* parts = static_cast<float*>(arguments.scratch);
    for_launches(p, runs, V, [&](std::int64_t first, std::uint32_t items) {
      launch(sum_runs<T, V>, blocks_for(items), kThreads, stream, r, input<T>(arguments, 0) + first * p.in * p.channels,
             parts + first * runs * p.channels, items);
    });
    for_launches(p, 1, 1, [&](std::int64_t first, std::uint32_t items) {
      launch(average_of_runs<T>, blocks_for(items), kThreads, stream, r, parts + first * runs * p.channels,
             output<T>(arguments, 0) + first * p.channels, items);
    });
  };
  return make_kernel(context, std::move(spec));
}

template <typename T, int V>
Bound bind_forward(const Context& context, Pooling p) {
  p.shape.packs = Divisor(p.channels / V);
  if (p.average) return p.whole ? bind_average_of_runs<T, V>(context, p) : bind_average<T, V>(context, p);
  return p.wide ? bind_extreme<T, V, std::int32_t>(context, p) : bind_extreme<T, V, std::uint8_t>(context, p);
}

template <typename T, int V, typename P>
Bound bind_extreme_backward(const Context& context, Pooling p) {
  return make_kernel(context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    for_launches(p, p.in, V, [&](std::int64_t first, std::uint32_t items) {
      const std::int64_t at = first * p.out * p.channels;
      launch(extreme_backward<T, P, V>, blocks_for(items), kThreads, stream, p.shape, input<T>(arguments, 0) + at,
             input<P>(arguments, 1) + at, output<T>(arguments, 0) + first * p.in * p.channels, items);
    });
  }});
}

template <typename T, int V>
Bound bind_backward(const Context& context, Pooling p) {
  p.shape.packs = Divisor(p.channels / V);
  if (!p.average)
    return p.wide ? bind_extreme_backward<T, V, std::int32_t>(context, p)
                  : bind_extreme_backward<T, V, std::uint8_t>(context, p);
  return make_kernel(context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    for_launches(p, p.in, V, [&](std::int64_t first, std::uint32_t items) {
      launch(average_backward<T, V>, blocks_for(items), kThreads, stream, p.shape,
             input<T>(arguments, 0) + first * p.out * p.channels, output<T>(arguments, 0) + first * p.in * p.channels, items);
    });
  }});
}

}  // namespace

Bound bind_pool(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& pool = std::get<PoolAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const Window window = window_of(pool, x);
  if (too_large(window, x[-1], reason)) return nullptr;
  const Pooling p = pooling_of(pool, x, window);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return p.channels % kPack<T> == 0 ? bind_forward<T, kPack<T>>(context, p) : bind_forward<T, 1>(context, p);
  });
}

Bound bind_pool_backward(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& pool = std::get<PoolAttributes>(op.attributes);
  const Window window = window_of(pool, pool.input);
  if (too_large(window, pool.input[-1], reason)) return nullptr;
  const Pooling p = pooling_of(pool, pool.input, window);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return p.channels % kPack<T> == 0 ? bind_backward<T, kPack<T>>(context, p) : bind_backward<T, 1>(context, p);
  });
}

}  // namespace convoy::cuda
