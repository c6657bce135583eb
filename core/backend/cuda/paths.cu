// Which paths samples take, and their weights.
#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"
#include "core/ops/path_math.h"

namespace convoy::cuda {
namespace {

constexpr int kMostPaths = 64;
struct Weights {
  float* of[kMostPaths];           // each [samples]; may be null
};

__global__ void path_weights(math::PathRule rule, const std::uint64_t* keys, Weights weights, std::int64_t samples) {
  const std::int64_t n = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (n >= samples) return;
  const std::uint64_t taken = math::paths_taken(rule, keys + 2 * n);
  const float share = math::path_share(taken);
  for (int p = 0; p < rule.paths; ++p)
    if (weights.of[p] != nullptr) weights.of[p][n] = (taken >> p & 1) != 0 ? share : 0.0f;
}

template <typename T, int V>
__global__ void scale_samples(const T* x, const float* w, Divisor packs, T* y, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  const float weight = w[packs.quotient(item)];
  const std::int64_t at = static_cast<std::int64_t>(item) * V;
  float value[V];
  load(x + at, value);
#pragma unroll
  for (int v = 0; v < V; ++v) value[v] = math::scale_sample(value[v], weight);
  store(y + at, value);
}

template <typename T, int V>
Bound make_scale(const Context& context, std::int64_t samples, std::int64_t elements) {
  auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    for_samples(samples, elements / V, [&](std::int64_t first, std::int64_t count) {
      const std::int64_t items = count * elements / V, at = first * elements;
      launch(scale_samples<T, V>, blocks_for(items), kThreads, stream, input<T>(arguments, 0) + at,
             input<float>(arguments, 1) + first, Divisor(elements / V), output<T>(arguments, 0) + at,
             static_cast<std::uint32_t>(items));
    });
  };
  return make_kernel(context, {.implementation = "element-wise", .run = std::move(run), .in_place = {{0, 0}}});
}

}  // namespace

Bound bind_path_weights(const Context& context, const OpDesc& op, std::string* reason) {
  const std::int64_t samples = op.inputs[0].shape[0];
  if (too_many(samples, reason)) return nullptr;
  const math::PathRule rule = math::path_rule(std::get<PathsAttributes>(op.attributes));
  auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    Weights weights{};
    for (int p = 0; p < rule.paths; ++p) weights.of[p] = output<float>(arguments, p);
    launch(path_weights, blocks_for(samples), kThreads, stream, rule, input<std::uint64_t>(arguments, 0), weights, samples);
  };
  return make_kernel(context, {.implementation = "thread per sample", .run = std::move(run)});
}

Bound bind_scale_samples(const Context& context, const OpDesc& op, std::string* reason) {
  const Shape& x = op.inputs[0].shape;
  const std::int64_t samples = x[0], elements = x.elements(1, x.rank());
  if (too_many(elements, reason)) return nullptr;
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return elements % kPack<T> == 0 ? make_scale<T, kPack<T>>(context, samples, elements)
                                    : make_scale<T, 1>(context, samples, elements);
  });
}

}  // namespace convoy::cuda
