// Pooling. The sums of averages over small windows are those of the cpu backend.
#include "core/backend/cuda/pool_shape.cuh"

namespace convoy::cuda {
namespace {

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
          const bool better = sign * value[v] > best[v] || value[v] != value[v];  // a NaN surfaces
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

/// Whether one window covers all of a large image.
bool is_whole(const Pooling& p, const Window& w) {
  return p.out == 1 && p.in >= 2 * kRun && p.in == w.taps() && w.pad_low == PerAxis{};
}

template <typename T, int V, typename P>
Bound bind_extreme(const Context& context, Pooling p) {
  return make_kernel(
      context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
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
  return make_kernel(
      context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
                  for_launches(p, p.out, V, [&](std::int64_t first, std::uint32_t items) {
                    launch(average<T, V>, blocks_for(items), kThreads, stream, p.shape,
                           input<T>(arguments, 0) + first * p.in * p.channels,
                           output<T>(arguments, 0) + first * p.out * p.channels, items);
                  });
                }});
}

template <typename T, int V>
Bound bind_average_of_runs(const Context& context, Pooling p) {
  const std::int64_t runs = (p.in + kRun - 1) / kRun;
  const Runs r{static_cast<std::uint32_t>(p.in), static_cast<std::uint32_t>(p.channels),
               Divisor(p.channels / V), Divisor(runs)};
  KernelSpec spec;
  spec.implementation = "two-level";
  spec.scratch_bytes = static_cast<std::size_t>(p.samples * runs * p.channels) * sizeof(float);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* parts = static_cast<float*>(arguments.scratch);
    for_launches(p, runs, V, [&](std::int64_t first, std::uint32_t items) {
      launch(sum_runs<T, V>, blocks_for(items), kThreads, stream, r,
             input<T>(arguments, 0) + first * p.in * p.channels, parts + first * runs * p.channels, items);
    });
    for_launches(p, 1, 1, [&](std::int64_t first, std::uint32_t items) {
      launch(average_of_runs<T>, blocks_for(items), kThreads, stream, r, parts + first * runs * p.channels,
             output<T>(arguments, 0) + first * p.channels, items);
    });
  };
  return make_kernel(context, std::move(spec));
}

template <typename T, int V>
Bound bind_forward(const Context& context, Pooling p, bool whole) {
  p.shape.packs = Divisor(p.channels / V);
  if (p.average) return whole ? bind_average_of_runs<T, V>(context, p) : bind_average<T, V>(context, p);
  return p.wide ? bind_extreme<T, V, std::int32_t>(context, p) : bind_extreme<T, V, std::uint8_t>(context, p);
}

}  // namespace

Bound bind_pool(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& pool = std::get<PoolAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const Window window = window_of(pool, x);
  if (too_large(window, x[-1], reason)) return nullptr;
  const Pooling p = pooling_of(pool, x, window);
  const bool whole = is_whole(p, window);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return p.channels % kPack<T> == 0 ? bind_forward<T, kPack<T>>(context, p, whole)
                                      : bind_forward<T, 1>(context, p, whole);
  });
}

}  // namespace convoy::cuda
