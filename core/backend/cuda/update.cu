// weight_update: all tensors of a program's neighbouring updates share launches.
#include <vector>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/launch.h"
#include "core/backend/cuda/tensor_table.cuh"
#include "core/ops/update_math.h"
#include "core/ops/update_operands.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;

struct WeightEntry {
  float *w, *first, *second;  // second: null for rules of one slot
  const float* gradient;
  void* copy;                 // null: none
  const double *scalars, *norms;
  std::int64_t elements;
  math::UpdateRule rule;
  int first_block;
  DType copy_type;
};

template <typename T, int N>
__device__ __forceinline__ void store_as(void* to, std::int64_t at, const Pack<float, N>& values) {
  Pack<T, N> pack;
#pragma unroll
  for (int k = 0; k < N; ++k) pack.at[k] = from_float<T>(values.at[k]);
  store_pack<N>(static_cast<T*>(to) + at, pack);
}

template <int N>
__device__ __forceinline__ void store_copy(const WeightEntry& entry, std::int64_t at, const Pack<float, N>& w) {
  if (entry.copy == nullptr) return;
  if (entry.copy_type == DType::bf16)
    store_as<Bf16, N>(entry.copy, at, w);
  else if (entry.copy_type == DType::f16)
    store_as<F16, N>(entry.copy, at, w);
  else
    store_as<float, N>(entry.copy, at, w);
}

/// N elements of w, its slots and its gradient.
template <Optimizer R, int N>
struct Elements {
  Pack<float, N> w, first, second, gradient;

  __device__ __forceinline__ void load(const WeightEntry& entry, std::int64_t at) {
    w = load_pack<N>(entry.w + at);
    first = load_pack<N>(entry.first + at);
    if (slots_of(R) > 1) second = load_pack<N>(entry.second + at);
    gradient = load_pack<N>(entry.gradient + at);
  }
  __device__ __forceinline__ void update(const math::UpdateStep& step) {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      if (R == Optimizer::rmsprop)
        w.at[k] = math::rmsprop(step, w.at[k], first.at[k], second.at[k], gradient.at[k]);
      else if (R == Optimizer::adam)
        w.at[k] = math::adam(step, w.at[k], first.at[k], second.at[k], gradient.at[k]);
      else if (R == Optimizer::adagrad)
        w.at[k] = math::adagrad(step, w.at[k], first.at[k], gradient.at[k]);
      else
        w.at[k] = math::sgd(step, w.at[k], first.at[k], gradient.at[k]);
    }
  }
  __device__ __forceinline__ void store(const WeightEntry& entry, std::int64_t at) const {
    store_pack<N>(entry.w + at, w);
    store_pack<N>(entry.first + at, first);
    if (slots_of(R) > 1) store_pack<N>(entry.second + at, second);
    store_copy<N>(entry, at, w);
  }
};

/// Packs that a thread has under way: as many as fit its registers.
template <Optimizer R>
inline constexpr int kAhead = slots_of(R) > 1 ? 2 : 4;
template <Optimizer R>
inline constexpr std::int64_t kTile = std::int64_t{kThreads} * kPack<float> * kAhead<R>;

template <Optimizer R>
__global__ void __launch_bounds__(kThreads) update_weights(Table<WeightEntry> table) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const WeightEntry entry = table.entries[entry_of(table, block)];
  if (entry.scalars[kApply] == 0) return;
  constexpr int N = kPack<float>;
  __shared__ math::UpdateStep step;
  if (thread == 0) step = math::update_step(entry.rule, entry.scalars, entry.norms);
  __syncthreads();
  const std::int64_t first = (block - entry.first_block) * kTile<R> + thread * N;
  Elements<R, N> packs[kAhead<R>];
#pragma unroll
  for (int u = 0; u < kAhead<R>; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= entry.elements) packs[u].load(entry, at);
  }
#pragma unroll
  for (int u = 0; u < kAhead<R>; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= entry.elements) {
      packs[u].update(step);
      packs[u].store(entry, at);
    } else {
      for (std::int64_t rest = at; rest < entry.elements; ++rest) {
        Elements<R, 1> one;
        one.load(entry, rest);
        one.update(step);
        one.store(entry, rest);
      }
    }
  }
}

/// What is known of an op when it is bound; `first_input`: of all the kernel's.
struct WeightOp {
  UpdateAttributes attributes;
  std::int64_t elements;
  int first_input;
  bool copies;
  DType copy_type;
};

WeightEntry entry_of(const WeightOp& op, const KernelArguments& arguments) {
  const int i = op.first_input;
  const UpdateOperands at = operands_of(op.attributes);
  return {.w = changed_input<float>(arguments, i),
          .first = changed_input<float>(arguments, i + 1),
          .second = slots_of(op.attributes.rule) > 1 ? changed_input<float>(arguments, i + 2) : nullptr,
          .gradient = input<float>(arguments, i + at.gradient),
          .copy = op.copies ? changed_input<void>(arguments, i + at.copy) : nullptr,
          .scalars = input<double>(arguments, i + at.scalars),
          .norms = takes_norms(op.attributes) ? input<double>(arguments, i + at.norms) : nullptr,
          .elements = op.elements,
          .rule = math::rule_of(op.attributes),
          .first_block = 0,
          .copy_type = op.copy_type};
}

template <Optimizer R>
Bound bind_rule(const Context& context, const std::vector<WeightOp>& ops) {
  const auto run = [ops](const KernelArguments& arguments, cudaStream_t stream) {
    for_tables<WeightEntry>(
        ops.size(), kTile<R>, [&](std::size_t i) { return entry_of(ops[i], arguments); },
        [&](const Table<WeightEntry>& table, dim3 grid) {
          launch(update_weights<R>, grid, dim3(kThreads), stream, table);
        });
  };
  return make_kernel(context, {.implementation = "together", .run = run});
}

}  // namespace

Bound bind_weight_updates_together(const Context& context, std::span<const OpDesc> ops) {
  std::vector<WeightOp> bound;
  int first_input = 0;
  const Optimizer rule = std::get<UpdateAttributes>(ops.front().attributes).rule;
  for (const OpDesc& op : ops) {
    const auto& attributes = std::get<UpdateAttributes>(op.attributes);
    if (attributes.rule != rule) return nullptr;
    const UpdateOperands at = operands_of(attributes);
    const bool copies = at.has_copy(op.inputs.size());
    bound.push_back({attributes, op.inputs[0].shape.elements(), first_input, copies,
                     copies ? op.inputs[static_cast<std::size_t>(at.copy)].dtype : DType::f32});
    first_input += static_cast<int>(op.inputs.size());
  }
  switch (rule) {
    case Optimizer::rmsprop: return bind_rule<Optimizer::rmsprop>(context, bound);
    case Optimizer::adam: return bind_rule<Optimizer::adam>(context, bound);
    case Optimizer::adagrad: return bind_rule<Optimizer::adagrad>(context, bound);
    case Optimizer::sgd:
    case Optimizer::lars: break;  // sgd with a gain
  }
  return bind_rule<Optimizer::sgd>(context, bound);
}

Bound bind_weight_update(const Context& context, const OpDesc& op, std::string*) {
  return bind_weight_updates_together(context, {&op, 1});
}

}  // namespace convoy::cuda
