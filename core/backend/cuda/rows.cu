// Ops that look along the channels of one position: local response normalisation, layer normalisation.
#include "core/backend/cuda/block_sum.cuh"
#include "core/backend/cuda/lanes.h"

namespace convoy::cuda {
namespace {

struct LocalResponse {
  int half, channels;              // neighbours on each side
  float k, alpha, beta;
};

/// s of channel c of the row at x; elements of neighbours come from the first cache.
template <typename T>
__device__ float response(const LocalResponse& rule, const T* x, int c) {
  const int begin = c > rule.half ? c - rule.half : 0;
  const int end = c + rule.half < rule.channels ? c + rule.half + 1 : rule.channels;
  float sum = 0;
  for (int j = begin; j < end; ++j) {
    const float value = to_float(x[j]);
    sum += value * value;
  }
  return math::fused(rule.alpha, sum, rule.k);
}

template <typename T>
__global__ void local_response(LocalResponse rule, Divisor channels, const T* x, T* y, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t row = item;
  const int c = static_cast<int>(channels.take(row));
  const float s = response(rule, x + item - c, c);
  y[item] = from_float<T>(to_float(x[item]) * math::power(s, -rule.beta));
}

/// Most neighbours on a side that a block shares.
constexpr int kMostHalf = 128;

/// A block takes kThreads neighbouring elements, and dy x s^(-beta - 1) of those and of `half` more on both sides.
template <typename T>
__global__ void local_response_backward(LocalResponse rule, Divisor channels, const T* x, const T* dy, T* dx, std::uint32_t items) {
  __shared__ float terms[kThreads + 2 * kMostHalf];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads - rule.half;
  for (int t = static_cast<int>(threadIdx.x); t < kThreads + 2 * rule.half; t += kThreads) {
    const std::int64_t at = first + t;
    if (at < 0 || at >= items) continue;
    std::uint32_t row = static_cast<std::uint32_t>(at);
    const int c = static_cast<int>(channels.take(row));
    const float s = response(rule, x + at - c, c);
    terms[t] = to_float(dy[at]) * math::power(s, -rule.beta) * to_float(x[at]) / s;
  }
  __syncthreads();
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t row = item;
  const int c = static_cast<int>(channels.take(row)), here = static_cast<int>(threadIdx.x) + rule.half;
  const int begin = c > rule.half ? -rule.half : -c;
  const int end = c + rule.half < rule.channels ? rule.half + 1 : rule.channels - c;
  float sum = 0;
  for (int j = begin; j < end; ++j) sum += terms[here + j];
  const float direct = to_float(dy[item]) * math::power(response(rule, x + item - c, c), -rule.beta);
  dx[item] = from_float<T>(math::fused(-(2.0f * rule.alpha * rule.beta) * to_float(x[item]), sum, direct));
}

LocalResponse rule_of(const OpDesc& op) {
  const auto& a = std::get<LocalResponseAttributes>(op.attributes);
  return {static_cast<int>(a.size / 2), static_cast<int>(op.inputs[0].shape[-1]), static_cast<float>(a.k),
          static_cast<float>(a.alpha), static_cast<float>(a.beta)};
}

/// Rows of up to this many elements are taken by one warp each, longer ones by a block.
constexpr std::int64_t kShortRow = 1024;

/// The sum over the Width threads of a row, for each of them.
template <int Width>
__device__ float row_sum(float mine) {
  if constexpr (Width == 32) {
    return lane_sum<32>(mine);
  } else {
    __shared__ float total;
    const double sum = block_sum(static_cast<double>(mine));
    if (threadIdx.x == 0) total = static_cast<float>(sum);
    __syncthreads();
    const float result = total;
    __syncthreads();
    return result;
  }
}

/// The thread's row; one beyond the last takes part in sums alone.
struct RowOfThread {
  std::int64_t row;
  int lane, end;
};
template <int Width>
__device__ RowOfThread row_of_thread(std::int64_t rows, int c) {
  const std::int64_t row = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) / Width;
  return {row, static_cast<int>(threadIdx.x) % Width, row < rows ? c : 0};
}

template <typename T, int Width>
__global__ void layer_norm(float epsilon, const T* x, T* y, float* inverse, std::int64_t rows, int c) {
  const RowOfThread mine = row_of_thread<Width>(rows, c);
  const T* from = x + (mine.end > 0 ? mine.row * c : 0);
  const float share = 1.0f / static_cast<float>(c);
  float sum = 0;
  for (int i = mine.lane; i < mine.end; i += Width) sum += to_float(from[i]);
  const float mean = row_sum<Width>(sum) * share;
  float rest = 0, squares = 0;
  for (int i = mine.lane; i < mine.end; i += Width) {
    const float d = to_float(from[i]) - mean;
    rest += d;
    squares = math::fused(d, d, squares);
  }
  rest = row_sum<Width>(rest) * share;
  const float variance = math::fused(-rest, rest, row_sum<Width>(squares) * share);
  const float d = 1.0f / sqrtf((variance > 0 ? variance : variance - variance) + epsilon);
  for (int i = mine.lane; i < mine.end; i += Width) y[mine.row * c + i] = from_float<T>((to_float(from[i]) - mean - rest) * d);
  if (inverse != nullptr && mine.end > 0 && mine.lane == 0) inverse[mine.row] = d;
}

template <typename T, int Width>
__global__ void layer_norm_backward(const T* y, const float* inverse, const T* dy, T* dx, std::int64_t rows, int c) {
  const RowOfThread mine = row_of_thread<Width>(rows, c);
  const std::int64_t at = mine.end > 0 ? mine.row * c : 0;
  const float share = 1.0f / static_cast<float>(c);
  float sum = 0, products = 0;
  for (int i = mine.lane; i < mine.end; i += Width) {
    const float d = to_float(dy[at + i]);
    sum += d;
    products = math::fused(d, to_float(y[at + i]), products);
  }
  const float mean = row_sum<Width>(sum) * share, product = row_sum<Width>(products) * share;
  if (mine.end == 0) return;
  const float factor = inverse[mine.row];
  for (int i = mine.lane; i < mine.end; i += Width)
    dx[at + i] = from_float<T>(factor * math::fused(-product, to_float(y[at + i]), to_float(dy[at + i]) - mean));
}

/// Rows of x and the width that takes them; f(Constant<width>{}).
template <typename F>
auto with_row_width(std::int64_t c, F f) {
  return c <= kShortRow ? f(Constant<32>{}) : f(Constant<kThreads>{});
}

}  // namespace

Bound bind_local_response(const Context& context, const OpDesc& op, std::string* reason) {
  const LocalResponse rule = rule_of(op);
  const std::int64_t c = rule.channels, rows = op.inputs[0].shape.elements() / c;
  if (too_many(c, reason)) return nullptr;
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    KernelSpec spec{.implementation = "element-wise"};
    spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
      for_samples(rows, c, [&](std::int64_t first, std::int64_t count) {
        launch(local_response<T>, blocks_for(count * c), kThreads, stream, rule, Divisor(c), input<T>(arguments, 0) + first * c,
               output<T>(arguments, 0) + first * c, static_cast<std::uint32_t>(count * c));
      });
    };
    return make_kernel(context, std::move(spec));
  });
}

Bound bind_local_response_backward(const Context& context, const OpDesc& op, std::string* reason) {
  const LocalResponse rule = rule_of(op);
  const std::int64_t c = rule.channels, rows = op.inputs[0].shape.elements() / c;
  if (too_many(c, reason)) return nullptr;
  if (rule.half > kMostHalf) {
    *reason = "looks at up to " + std::to_string(2 * kMostHalf + 1) + " channels, but the op has " + std::to_string(2 * rule.half + 1);
    return nullptr;
  }
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    KernelSpec spec{.implementation = "shared terms"};
    spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
      for_samples(rows, c, [&](std::int64_t first, std::int64_t count) {
        const std::int64_t at = first * c;
        launch(local_response_backward<T>, blocks_for(count * c), kThreads, stream, rule, Divisor(c), input<T>(arguments, 0) + at,
               input<T>(arguments, 1) + at, output<T>(arguments, 0) + at,
               static_cast<std::uint32_t>(count * c));
      });
    };
    return make_kernel(context, std::move(spec));
  });
}

Bound bind_layer_norm(const Context& context, const OpDesc& op, std::string* reason) {
  const std::int64_t c = op.inputs[0].shape[-1], rows = op.inputs[0].shape.elements() / c;
  const auto epsilon = static_cast<float>(std::get<LayerNormAttributes>(op.attributes).epsilon);
  if (too_many(c, reason) || too_many(rows, reason)) return nullptr;
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return with_row_width(c, [&](auto width) {
      constexpr int W = decltype(width)::value;
      KernelSpec spec{.implementation = W == 32 ? "warp per row" : "block per row"};
      spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
        launch(layer_norm<T, W>, blocks_for(rows, kThreads / W), kThreads, stream, epsilon, input<T>(arguments, 0),
               output<T>(arguments, 0), output<float>(arguments, 1), rows, static_cast<int>(c));
      };
      return make_kernel(context, std::move(spec));
    });
  });
}

Bound bind_layer_norm_backward(const Context& context, const OpDesc& op, std::string* reason) {
  const std::int64_t c = op.inputs[0].shape[-1], rows = op.inputs[0].shape.elements() / c;
  if (too_many(c, reason) || too_many(rows, reason)) return nullptr;
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return with_row_width(c, [&](auto width) {
      constexpr int W = decltype(width)::value;
      KernelSpec spec{.implementation = W == 32 ? "warp per row" : "block per row"};
      spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
        launch(layer_norm_backward<T, W>, blocks_for(rows, kThreads / W), kThreads, stream, input<T>(arguments, 0),
               input<float>(arguments, 1), input<T>(arguments, 2), output<T>(arguments, 0), rows, static_cast<int>(c));
      };
      return make_kernel(context, std::move(spec));
    });
  });
}

}  // namespace convoy::cuda
