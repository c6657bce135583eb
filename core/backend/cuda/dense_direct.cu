// Dense layers by tiles: the last candidate, which takes all sizes.
#include "core/backend/cuda/fold_splits.cuh"
#include "core/backend/cuda/tiles.cuh"

namespace convoy::cuda {
namespace {

/// y[n, u] = bias[u] + sum over f: x[n, f] w[u, f]
template <typename T>
struct DenseForward {
  static constexpr bool kDepthFirstA = true, kDepthFirstB = true;
  Tiling tiling;
  const T *x, *w;
  const float* bias;  // may be null
  T* y;
  bool relu;
  __device__ float a(const TilePart&, std::uint32_t n, std::uint32_t f) const {
    return to_float(x[static_cast<std::int64_t>(n) * tiling.whole_depth + f]);
  }
  __device__ float b(const TilePart&, std::uint32_t f, std::uint32_t u) const {
    return to_float(w[static_cast<std::int64_t>(u) * tiling.whole_depth + f]);
  }
  __device__ void store(const TilePart&, std::uint32_t n, std::uint32_t u, float sum) const {
    if (bias != nullptr) sum += bias[u];
    y[static_cast<std::int64_t>(n) * tiling.columns + u] = from_float<T>(relu ? math::relu(sum) : sum);
  }
};

/// dx[n, f] = sum over u: dy[n, u] w[u, f]
template <typename T>
struct DenseBackwardData {
  static constexpr bool kDepthFirstA = true, kDepthFirstB = false;
  Tiling tiling;
  const T *dy, *w;
  T* dx;
  __device__ float a(const TilePart&, std::uint32_t n, std::uint32_t u) const {
    return to_float(dy[static_cast<std::int64_t>(n) * tiling.whole_depth + u]);
  }
  __device__ float b(const TilePart&, std::uint32_t u, std::uint32_t f) const {
    return to_float(w[static_cast<std::int64_t>(u) * tiling.columns + f]);
  }
  __device__ void store(const TilePart&, std::uint32_t n, std::uint32_t f, float sum) const {
    dx[static_cast<std::int64_t>(n) * tiling.columns + f] = from_float<T>(sum);
  }
};

/// dw[u, f] = sum over n: dy[n, u] x[n, f], by splits of n: [splits, u, f]
template <typename T>
struct DenseBackwardWeights {
  static constexpr bool kDepthFirstA = false, kDepthFirstB = false;
  Tiling tiling;
  const T *x, *dy;
  float* dw;
  __device__ float a(const TilePart&, std::uint32_t u, std::uint32_t n) const {
    return to_float(dy[static_cast<std::int64_t>(n) * tiling.rows + u]);
  }
  __device__ float b(const TilePart&, std::uint32_t n, std::uint32_t f) const {
    return to_float(x[static_cast<std::int64_t>(n) * tiling.columns + f]);
  }
  __device__ void store(const TilePart& part, std::uint32_t u, std::uint32_t f, float sum) const {
    dw[(static_cast<std::int64_t>(part.split) * tiling.rows + u) * tiling.columns + f] = sum;
  }
};

/// n samples of f features, u units.
struct Sizes {
  std::int64_t n, f, u;
};

template <typename T>
Bound bind_forward(const Context& context, const Sizes& s, bool relu) {
  return make_kernel(
      context,
      {.implementation = "tiles", .run = [=](const KernelArguments& arguments, cudaStream_t stream) {
         const float* bias = arguments.inputs.size() > 2 ? input<float>(arguments, 2) : nullptr;
         multiply(
             DenseForward<T>{
                 {}, input<T>(arguments, 0), input<T>(arguments, 1), bias, output<T>(arguments, 0), relu},
             s.n, s.u, s.f, 1, 1, stream);
       }});
}

template <typename T>
Bound bind_backward_data(const Context& context, const Sizes& s) {
  return make_kernel(
      context,
      {.implementation = "tiles", .run = [=](const KernelArguments& arguments, cudaStream_t stream) {
         multiply(
             DenseBackwardData<T>{{}, input<T>(arguments, 0), input<T>(arguments, 1), output<T>(arguments, 0)},
             s.n, s.f, s.u, 1, 1, stream);
       }});
}

template <typename T>
Bound bind_backward_weights(const Context& context, const Sizes& s) {
  const std::int64_t splits = splits_for(s.u, s.f, s.n, 1);
  const std::size_t parts_bytes =
      splits > 1 ? round_up_256(static_cast<std::size_t>(splits * s.u * s.f) * sizeof(float)) : 0;
  KernelSpec spec;
  spec.implementation = "tiles";
  spec.scratch_bytes = parts_bytes + bias_bytes(s.n, s.u);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* parts = static_cast<float*>(arguments.scratch);
    const T *x = input<T>(arguments, 0), *dy = input<T>(arguments, 1);
    if (float* dw = output<float>(arguments, 0)) {
      multiply(DenseBackwardWeights<T>{{}, x, dy, splits > 1 ? parts : dw}, s.u, s.f, s.n, 1, splits, stream);
      if (splits > 1)
        launch(fold_splits, blocks_for(s.u * s.f), kThreads, stream, parts, splits, s.u * s.f, dw);
    }
    float* dbias = arguments.outputs.size() > 1 ? output<float>(arguments, 1) : nullptr;
    if (dbias != nullptr) sum_to_bias(dy, s.n, s.u, parts + parts_bytes / sizeof(float), dbias, stream);
  };
  return make_kernel(context, std::move(spec));
}

Sizes sizes_of(const OpDesc& op) {
  const std::int64_t n = op.inputs[0].shape[0], units = std::get<DenseAttributes>(op.attributes).units;
  return {n, op.kind == OpKind::dense_backward_data ? op.inputs[1].shape[1] : op.inputs[0].shape[1], units};
}

}  // namespace

Bound bind_dense_direct(const Context& context, const OpDesc& op, std::string* reason) {
  const Sizes s = sizes_of(op);
  if (too_many(s.n, reason) || too_many(s.f, reason) || too_many(s.u, reason)) return nullptr;
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    if (op.kind == OpKind::dense_backward_data) return bind_backward_data<T>(context, s);
    if (op.kind == OpKind::dense_backward_weights) return bind_backward_weights<T>(context, s);
    return bind_forward<T>(context, s,
                           std::get<DenseAttributes>(op.attributes).activation == ActivationKind::relu);
  });
}

}  // namespace convoy::cuda
