// running_update and average_update: all tensors of neighbouring ones share launches.
#include <vector>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/launch.h"
#include "core/backend/cuda/tensor_table.cuh"
#include "core/ops/update_math.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kTile = std::int64_t{kThreads} * kPack<float>;

/// kept = keep kept + factor value, by factors that an op was bound with or that follow from the step.
struct Factors {
  float keep, factor;
  double decay, from;
  bool averages;         // by decay and from
};

struct BlendEntry {
  float* kept;
  const float* value;
  const double* scalars;
  std::int64_t elements;
  Factors factors;
  int first_block;
};

__global__ void __launch_bounds__(kThreads) blend_all(Table<BlendEntry> table) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const BlendEntry entry = table.entries[entry_of(table, block)];
  if (entry.scalars[kApply] == 0) return;
  float keep = entry.factors.keep, factor = entry.factors.factor;
  if (entry.factors.averages) {
    const double share = math::average_share(entry.factors.decay, entry.factors.from, entry.scalars);
    keep = static_cast<float>(1 - share);
    factor = static_cast<float>(share);
  }
  constexpr int N = kPack<float>;
  const std::int64_t at = (block - entry.first_block) * kTile + thread * N;
  if (at + N <= entry.elements) {
    Pack<float> kept = load_pack<N>(entry.kept + at);
    const Pack<float> value = load_pack<N>(entry.value + at);
#pragma unroll
    for (int k = 0; k < N; ++k) kept.at[k] = math::blend(keep, factor, kept.at[k], value.at[k]);
    store_pack<N>(entry.kept + at, kept);
  } else {
    for (std::int64_t rest = at; rest < entry.elements; ++rest)
      entry.kept[rest] = math::blend(keep, factor, entry.kept[rest], entry.value[rest]);
  }
}

Factors factors_of(const OpDesc& op) {
  if (op.kind == OpKind::average_update) {
    const auto& a = std::get<AverageAttributes>(op.attributes);
    return {0, 0, a.decay, static_cast<double>(a.from), true};
  }
  const auto& a = std::get<RunningAttributes>(op.attributes);
  return {static_cast<float>(1 - a.factor), static_cast<float>(a.factor / static_cast<double>(a.micro_batches)), 0, 0, false};
}

struct BlendOp {
  std::int64_t elements;
  Factors factors;
};

}  // namespace

Bound bind_blends_together(const Context& context, std::span<const OpDesc> ops) {
  std::vector<BlendOp> bound;
  for (const OpDesc& op : ops) bound.push_back({op.inputs[0].shape.elements(), factors_of(op)});
  const auto run = [bound](const KernelArguments& arguments, cudaStream_t stream) {
    for_tables<BlendEntry>(
        bound.size(), kTile,
        [&](std::size_t i) {
          const int in = 3 * static_cast<int>(i);
          return BlendEntry{.kept = changed_input<float>(arguments, in),
                            .value = input<float>(arguments, in + 1),
                            .scalars = input<double>(arguments, in + 2),
                            .elements = bound[i].elements,
                            .factors = bound[i].factors,
                            .first_block = 0};
        },
        [&](const Table<BlendEntry>& table, dim3 grid) { launch(blend_all, grid, dim3(kThreads), stream, table); });
  };
  return make_kernel(context, {.implementation = "together", .run = run});
}

Bound bind_blend(const Context& context, const OpDesc& op, std::string*) { return bind_blends_together(context, {&op, 1}); }

}  // namespace convoy::cuda
