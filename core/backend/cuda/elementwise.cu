// Activations, sums and products of equal shapes, casts: y[i] = f(x1[i], x2[i], ..), each thread 16 bytes at a time with
// several accesses under way. Every operand is read before the same place of y is written, so y may lie in any of them.
#include <algorithm>
#include <cstddef>

#include "core/backend/cuda/dispatch.h"
#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/launch.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1 << 20;

template <int N, typename T>
struct Operands {
  const T* at[N];
};

/// What one access moves, so that neither side's has more than 16 bytes.
template <typename From, typename To>
inline constexpr int kWidth = std::min(kPack<From>, kPack<To>);

/// Accesses to each operand that a thread has under way.
template <int N>
inline constexpr int kAhead = N == 1 ? 4 : 2;

template <int N, typename From, typename To, typename F>
__global__ void __launch_bounds__(kThreads) map(Operands<N, From> from, To* to, std::int64_t n, F f) {
  constexpr int W = kWidth<From, To>, U = kAhead<N>;
  const std::int64_t packs = n / W, stride = std::int64_t{gridDim.x} * kThreads * U;
  for (std::int64_t first = std::int64_t{blockIdx.x} * kThreads * U + threadIdx.x; first < packs; first += stride) {
    Pack<From, W> loaded[U][N];
#pragma unroll
    for (int u = 0; u < U; ++u)
#pragma unroll
      for (int i = 0; i < N; ++i)
        if (first + u * kThreads < packs) loaded[u][i] = load_pack<W>(from.at[i] + (first + u * kThreads) * W);
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (first + u * kThreads >= packs) break;
      Pack<To, W> result;
#pragma unroll
      for (int w = 0; w < W; ++w) {
        float x[N];
#pragma unroll
        for (int i = 0; i < N; ++i) x[i] = to_float(loaded[u][i].at[w]);
        result.at[w] = from_float<To>(f(x));
      }
      store_pack<W>(to + (first + u * kThreads) * W, result);
    }
  }
  const std::int64_t rest = packs * W + threadIdx.x;
  if (blockIdx.x != 0 || rest >= n) return;
  float x[N];
  for (int i = 0; i < N; ++i) x[i] = to_float(from.at[i][rest]);
  to[rest] = from_float<To>(f(x));
}

dim3 grid_for(std::int64_t n, std::int64_t per_block) {
  return dim3(static_cast<unsigned>(std::clamp<std::int64_t>((n + per_block - 1) / per_block, 1, kMostBlocks)));
}

/// The kernel of an op whose first N inputs are of the type From.
template <int N, typename From, typename To, typename F>
Bound make_map(const Context& context, const OpDesc& op, F f) {
  const std::int64_t n = op.inputs[0].shape.elements();
  const dim3 grid = grid_for(n, std::int64_t{kThreads} * kWidth<From, To> * kAhead<N>);
  KernelSpec spec{.implementation = "vector"};
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    Operands<N, From> from;
    for (int i = 0; i < N; ++i) from.at[i] = input<From>(arguments, i);
    launch(map<N, From, To, F>, grid, dim3(kThreads), stream, from, output<To>(arguments, 0), n, f);
  };
  if constexpr (sizeof(From) == sizeof(To))
    for (int i = 0; i < N; ++i) spec.in_place.emplace_back(i, 0);
  return make_kernel(context, std::move(spec));
}

template <int N, typename F>
Bound bind_map(const Context& context, const OpDesc& op, F f) {
  return with_type(op.inputs[0].dtype, [&](auto t) {
    using T = decltype(t);
    return make_map<N, T, T>(context, op, f);
  });
}

template <ActivationKind K>
struct Activate {
  float slope;
  __device__ float operator()(const float (&x)[1]) const {
    if constexpr (K == ActivationKind::relu)
      return math::relu(x[0]);
    else if constexpr (K == ActivationKind::tanh)
      return math::tanh(x[0]);
    else if constexpr (K == ActivationKind::sigmoid)
      return math::sigmoid(x[0]);
    else if constexpr (K == ActivationKind::scaled_tanh)
      return math::scaled_tanh(x[0]);
    else if constexpr (K == ActivationKind::leaky_relu)
      return math::leaky_relu(x[0], slope);
    else if constexpr (K == ActivationKind::elu)
      return math::elu(x[0], slope);
    else if constexpr (K == ActivationKind::negative_part)
      return math::negative_part(x[0]);
    else if constexpr (K == ActivationKind::complement)
      return 1.0f - x[0];
    else if constexpr (K == ActivationKind::scale)
      return slope * x[0];
    else
      return x[0];
  }
};

/// y, dy
template <ActivationKind K>
struct ActivateBackward {
  float slope;
  __device__ float operator()(const float (&x)[2]) const {
    if constexpr (K == ActivationKind::relu)
      return math::relu_backward(x[0], x[1]);
    else if constexpr (K == ActivationKind::tanh)
      return math::tanh_backward(x[0], x[1]);
    else if constexpr (K == ActivationKind::sigmoid)
      return math::sigmoid_backward(x[0], x[1]);
    else if constexpr (K == ActivationKind::scaled_tanh)
      return math::scaled_tanh_backward(x[0], x[1]);
    else if constexpr (K == ActivationKind::leaky_relu)
      return math::leaky_relu_backward(x[0], x[1], slope);
    else if constexpr (K == ActivationKind::elu)
      return math::elu_backward(x[0], x[1], slope);
    else if constexpr (K == ActivationKind::negative_part)
      return math::negative_part_backward(x[0], x[1]);
    else if constexpr (K == ActivationKind::complement)
      return -x[1];
    else if constexpr (K == ActivationKind::scale)
      return slope * x[1];
    else
      return x[1];
  }
};

struct Multiply {
  __device__ float operator()(const float (&x)[2]) const { return x[0] * x[1]; }
};

struct Same {
  __device__ float operator()(const float (&x)[1]) const { return x[0]; }
};

/// From left to right.
template <int N>
struct Add {
  __device__ float operator()(const float (&x)[N]) const {
    float sum = x[0] + x[1];
#pragma unroll
    for (int i = 2; i < N; ++i) sum += x[i];
    return sum;
  }
};

template <template <ActivationKind> class F, int N>
Bound bind_by_kind(const Context& context, const OpDesc& op) {
  const auto& attributes = std::get<ActivationAttributes>(op.attributes);
  const auto slope = static_cast<float>(attributes.slope);
  switch (attributes.kind) {
    case ActivationKind::relu: return bind_map<N>(context, op, F<ActivationKind::relu>{slope});
    case ActivationKind::tanh: return bind_map<N>(context, op, F<ActivationKind::tanh>{slope});
    case ActivationKind::sigmoid: return bind_map<N>(context, op, F<ActivationKind::sigmoid>{slope});
    case ActivationKind::scaled_tanh: return bind_map<N>(context, op, F<ActivationKind::scaled_tanh>{slope});
    case ActivationKind::leaky_relu: return bind_map<N>(context, op, F<ActivationKind::leaky_relu>{slope});
    case ActivationKind::elu: return bind_map<N>(context, op, F<ActivationKind::elu>{slope});
    case ActivationKind::negative_part: return bind_map<N>(context, op, F<ActivationKind::negative_part>{slope});
    case ActivationKind::complement: return bind_map<N>(context, op, F<ActivationKind::complement>{slope});
    case ActivationKind::scale: return bind_map<N>(context, op, F<ActivationKind::scale>{slope});
    case ActivationKind::none:
    case ActivationKind::count_: break;
  }
  return bind_map<N>(context, op, F<ActivationKind::none>{slope});
}

// Sums of many terms (a value of a dense block that many layers read): the pointers travel in the kernel's own arguments.
constexpr int kMostTerms = 256;
constexpr int kAddAhead = 2;

template <typename T>
__global__ void __launch_bounds__(kThreads) add_many(Operands<kMostTerms, T> from, int terms, T* to, std::int64_t n) {
  constexpr int W = kPack<T>, U = kAddAhead;
  const std::int64_t packs = n / W, stride = std::int64_t{gridDim.x} * kThreads * U;
  for (std::int64_t first = std::int64_t{blockIdx.x} * kThreads * U + threadIdx.x; first < packs; first += stride) {
    float sum[U][W];
    for (int i = 0; i < terms; ++i)
#pragma unroll
      for (int u = 0; u < U; ++u) {
        if (first + u * kThreads >= packs) break;
        const Pack<T> x = load_pack<W>(from.at[i] + (first + u * kThreads) * W);
#pragma unroll
        for (int w = 0; w < W; ++w) sum[u][w] = i == 0 ? to_float(x.at[w]) : sum[u][w] + to_float(x.at[w]);
      }
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (first + u * kThreads >= packs) break;
      Pack<T> result;
#pragma unroll
      for (int w = 0; w < W; ++w) result.at[w] = from_float<T>(sum[u][w]);
      store_pack<W>(to + (first + u * kThreads) * W, result);
    }
  }
  const std::int64_t rest = packs * W + threadIdx.x;
  if (blockIdx.x != 0 || rest >= n) return;
  float sum = to_float(from.at[0][rest]);
  for (int i = 1; i < terms; ++i) sum += to_float(from.at[i][rest]);
  to[rest] = from_float<T>(sum);
}

template <typename T>
Bound make_add_many(const Context& context, const OpDesc& op) {
  const std::int64_t n = op.inputs[0].shape.elements();
  const int terms = static_cast<int>(op.inputs.size());
  const dim3 grid = grid_for(n, std::int64_t{kThreads} * kPack<T> * kAddAhead);
  KernelSpec spec{.implementation = "vector"};
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    Operands<kMostTerms, T> from{};
    for (int i = 0; i < terms; ++i) from.at[i] = input<T>(arguments, i);
    launch(add_many<T>, grid, dim3(kThreads), stream, from, terms, output<T>(arguments, 0), n);
  };
  for (int i = 0; i < terms; ++i) spec.in_place.emplace_back(i, 0);
  return make_kernel(context, std::move(spec));
}

}  // namespace

Bound bind_activation(const Context& context, const OpDesc& op, std::string*) {
  return bind_by_kind<Activate, 1>(context, op);
}

Bound bind_activation_backward(const Context& context, const OpDesc& op, std::string*) {
  return bind_by_kind<ActivateBackward, 2>(context, op);
}

Bound bind_multiply(const Context& context, const OpDesc& op, std::string*) { return bind_map<2>(context, op, Multiply{}); }

Bound bind_add(const Context& context, const OpDesc& op, std::string* reason) {
  switch (op.inputs.size()) {
    case 2: return bind_map<2>(context, op, Add<2>{});
    case 3: return bind_map<3>(context, op, Add<3>{});
    case 4: return bind_map<4>(context, op, Add<4>{});
    default: break;
  }
  if (op.inputs.size() > kMostTerms) {
    *reason = "adds at most " + std::to_string(kMostTerms) + " terms, but the op has " + std::to_string(op.inputs.size());
    return nullptr;
  }
  return with_type(op.inputs[0].dtype, [&](auto t) { return make_add_many<decltype(t)>(context, op); });
}

Bound bind_cast(const Context& context, const OpDesc& op, std::string*) {
  return with_type(op.inputs[0].dtype, [&](auto from) {
    return with_type(op.outputs[0].dtype,
                     [&](auto to) { return make_map<1, decltype(from), decltype(to)>(context, op, Same{}); });
  });
}

}  // namespace convoy::cuda
