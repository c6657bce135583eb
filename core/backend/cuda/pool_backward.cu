// The gradient of pooling gathers: each element of x visits the windows that hold it, in scan order, so that
// nothing is added from two sides.
#include "core/backend/cuda/pool_shape.cuh"

namespace convoy::cuda {
namespace {

/// The windows of an axis that hold position p: first to last.
__device__ inline void windows_over(const PoolShape& s, int a, int p, int& first, int& last) {
  const int above = p + s.low[a], beyond = above - s.kernel[a];
  first = beyond < 0 ? 0 : static_cast<int>(s.stride_by[a].quotient(static_cast<std::uint32_t>(beyond))) + 1;
  last = min(static_cast<int>(s.stride_by[a].quotient(static_cast<std::uint32_t>(above))), s.out[a] - 1);
}

/// Calls visit(t, starts) for the windows that hold the pixel of an item of x, t counting positions of y [n,
/// out..].
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
        visit(((static_cast<std::int64_t>(rest) * s.out[0] + i) * s.out[1] + j) * s.out[2] + k,
              i * s.stride[0] - s.low[0], j * s.stride[1] - s.low[1], k * s.stride[2] - s.low[2]);
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

template <typename T, int V, typename P>
Bound bind_extreme_backward(const Context& context, Pooling p) {
  return make_kernel(
      context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
                  for_launches(p, p.in, V, [&](std::int64_t first, std::uint32_t items) {
                    const std::int64_t at = first * p.out * p.channels;
                    launch(extreme_backward<T, P, V>, blocks_for(items), kThreads, stream, p.shape,
                           input<T>(arguments, 0) + at, input<P>(arguments, 1) + at,
                           output<T>(arguments, 0) + first * p.in * p.channels, items);
                  });
                }});
}

template <typename T, int V>
Bound bind_backward(const Context& context, Pooling p) {
  p.shape.packs = Divisor(p.channels / V);
  if (!p.average)
    return p.wide ? bind_extreme_backward<T, V, std::int32_t>(context, p)
                  : bind_extreme_backward<T, V, std::uint8_t>(context, p);
  return make_kernel(
      context, {.implementation = "gather", .run = [p](const KernelArguments& arguments, cudaStream_t stream) {
                  for_launches(p, p.in, V, [&](std::int64_t first, std::uint32_t items) {
                    launch(average_backward<T, V>, blocks_for(items), kThreads, stream, p.shape,
                           input<T>(arguments, 0) + first * p.out * p.channels,
                           output<T>(arguments, 0) + first * p.in * p.channels, items);
                  });
                }});
}

}  // namespace

Bound bind_pool_backward(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& pool = std::get<PoolAttributes>(op.attributes);
  const Window window = window_of(pool, pool.input);
  if (too_large(window, pool.input[-1], reason)) return nullptr;
  const Pooling p = pooling_of(pool, pool.input, window);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return p.channels % kPack<T> == 0 ? bind_backward<T, kPack<T>>(context, p)
                                      : bind_backward<T, 1>(context, p);
  });
}

}  // namespace convoy::cuda
