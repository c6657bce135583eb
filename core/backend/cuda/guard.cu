// The step's guard: whether all that was reduced is finite, and what follows from it.
#include <vector>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/launch.h"
#include "core/backend/cuda/tensor_table.cuh"
#include "core/ops/guard_math.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;

constexpr int kGuardAhead = 8;
constexpr std::int64_t kGuardTile = std::int64_t{kThreads} * kPack<float> * kGuardAhead;

struct Bucket {
  const float* data;
  std::int64_t elements;
  int first_block;
};

__device__ __forceinline__ bool is_finite(float x) { return (bits_of(x) & 0x7f800000u) != 0x7f800000u; }

/// Whether any thread of the block says so; known to thread 0.
__device__ __forceinline__ bool any_of_block(bool mine) {
  __shared__ int shared[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) shared[thread] |= shared[thread + half];
  }
  return shared[0] != 0;
}

/// broken [blocks]: 1 where a block's tile holds a number that is not finite.
__global__ void __launch_bounds__(kThreads) look_for_broken(Table<Bucket> table, int* broken) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const Bucket bucket = table.entries[entry_of(table, block)];
  constexpr int N = kPack<float>;
  const std::int64_t first = (block - bucket.first_block) * kGuardTile + thread * N;
  bool bad = false;
  Pack<float> x[kGuardAhead];
#pragma unroll
  for (int u = 0; u < kGuardAhead; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= bucket.elements) x[u] = load_pack<N>(bucket.data + at);
  }
#pragma unroll
  for (int u = 0; u < kGuardAhead; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= bucket.elements) {
#pragma unroll
      for (int k = 0; k < N; ++k) bad = bad || !is_finite(x[u].at[k]);
    } else {
      for (std::int64_t rest = at; rest < bucket.elements; ++rest) bad = bad || !is_finite(bucket.data[rest]);
    }
  }
  bad = any_of_block(bad);
  if (thread == 0) broken[block] = bad;
}

__global__ void __launch_bounds__(kThreads)
    decide(math::GuardRules rules, const float* weight, const int* broken, int blocks, double* scalars) {
  bool bad = false;
  for (int b = static_cast<int>(threadIdx.x); b < blocks; b += kThreads) bad = bad || broken[b] != 0;
  bad = any_of_block(bad);
  if (threadIdx.x == 0) math::guard(rules, static_cast<double>(*weight), !bad, scalars);
}

}  // namespace

Bound bind_guard(const Context& context, const OpDesc& op, std::string*) {
  const auto& a = std::get<GuardAttributes>(op.attributes);
  const math::GuardRules rules{a.scaling, a.most, static_cast<double>(a.growth_every), a.halts};
  std::vector<std::int64_t> elements;
  std::int64_t blocks = 0;
  for (std::size_t i = 2; i < op.inputs.size(); ++i) {
    elements.push_back(op.inputs[i].shape.elements());
    blocks += tiles_of(elements.back(), kGuardTile);
  }
  const auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* broken = static_cast<int*>(arguments.scratch);
    std::int64_t done = 0;
    for_tables<Bucket>(
        elements.size(), kGuardTile,
        [&](std::size_t i) { return Bucket{input<float>(arguments, static_cast<int>(i) + 2), elements[i], 0}; },
        [&](const Table<Bucket>& table, dim3 grid) {
          launch(look_for_broken, grid, dim3(kThreads), stream, table, broken + done);
          done += grid.x;
        });
    launch(decide, dim3(1), dim3(kThreads), stream, rules, input<float>(arguments, 0), broken, static_cast<int>(blocks),
           changed_input<double>(arguments, 1));
  };
  return make_kernel(context, {.implementation = "blocks",
                               .run = run,
                               .scratch_bytes = static_cast<std::size_t>(blocks) * sizeof(int)});
}

}  // namespace convoy::cuda
