// squared_norms and clip_norm. The lanes and blocks of core/ops/update_math.h, so that the bits are the cpu's: half a warp takes
// a block of kNormBlock elements, a lane a thread.
#include <vector>

#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/launch.h"
#include "core/backend/cuda/tensor_table.cuh"
#include "core/ops/update_math.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksAtOnce = kThreads / math::kNormLanes;
constexpr std::int64_t kWhole = std::int64_t{1} << 62;  // a tile that no tensor exceeds
constexpr std::int64_t kTile = std::int64_t{kBlocksAtOnce} * math::kNormBlock;

struct NormEntry {
  const float* data;
  double* blocks;        // a sum for each kNormBlock elements
  std::int64_t elements;
  int first_block;
};

__global__ void __launch_bounds__(kThreads) sum_blocks(Table<NormEntry> table) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const NormEntry entry = table.entries[entry_of(table, block)];
  __shared__ double lanes[kThreads];
  const int row = thread / math::kNormLanes;
  const std::int64_t part = std::int64_t{block - entry.first_block} * kBlocksAtOnce + row;
  const std::int64_t begin = part * math::kNormBlock, rest = entry.elements - begin;
  double sum = 0;
#pragma unroll 8
  for (int i = thread % math::kNormLanes; i < math::kNormBlock; i += math::kNormLanes) {
    if (i >= rest) continue;
    const auto x = static_cast<double>(entry.data[begin + i]);
    sum += x * x;
  }
  lanes[thread] = sum;
  __syncthreads();
  if (thread % math::kNormLanes == 0 && rest > 0)
    entry.blocks[part] = math::fold_tree(lanes + row * math::kNormLanes, math::kNormLanes);
}

/// A tensor: its norm is the sum of all its blocks through the fixed tree, whose stages the threads of a block share.
struct FoldEntry {
  double *blocks, *norm;
  std::int64_t elements;  // block sums
  int first_block;
};

__global__ void __launch_bounds__(kThreads) fold_tensors(Table<FoldEntry> table) {
  const FoldEntry entry = table.entries[blockIdx.x];
  for (std::int64_t stride = 1; stride < entry.elements; stride *= 2) {
    for (std::int64_t i = 2 * stride * threadIdx.x; i + stride < entry.elements; i += 2 * stride * kThreads)
      entry.blocks[i] += entry.blocks[i + stride];
    __syncthreads();
  }
  if (threadIdx.x == 0) *entry.norm = entry.blocks[0];
}

__global__ void clip_together(double limit, std::int64_t tensors, const double* norms, double* scalars) {
  math::clip(limit, tensors, norms, scalars);
}

}  // namespace

Bound bind_squared_norms(const Context& context, const OpDesc& op, std::string*) {
  struct Tensor {
    std::int64_t elements, blocks, first;  // first: of its blocks in the scratch
  };
  std::vector<Tensor> tensors;
  std::int64_t blocks = 0;
  for (const TensorDesc& input : op.inputs) {
    const std::int64_t elements = input.shape.elements();
    tensors.push_back({elements, tiles_of(elements, math::kNormBlock), blocks});
    blocks += tensors.back().blocks;
  }
  const auto run = [tensors](const KernelArguments& arguments, cudaStream_t stream) {
    auto* sums = static_cast<double*>(arguments.scratch);
    for_tables<NormEntry>(
        tensors.size(), kTile,
        [&](std::size_t i) {
          return NormEntry{input<float>(arguments, static_cast<int>(i)), sums + tensors[i].first, tensors[i].elements, 0};
        },
        [&](const Table<NormEntry>& table, dim3 grid) { launch(sum_blocks, grid, dim3(kThreads), stream, table); });
    for_tables<FoldEntry>(
        tensors.size(), kWhole,
        [&](std::size_t i) {
          return FoldEntry{sums + tensors[i].first, output<double>(arguments, 0) + i, tensors[i].blocks, 0};
        },
        [&](const Table<FoldEntry>& table, dim3 grid) { launch(fold_tensors, grid, dim3(kThreads), stream, table); });
  };
  return make_kernel(context, {.implementation = "blocks",
                               .run = run,
                               .scratch_bytes = static_cast<std::size_t>(blocks) * sizeof(double)});
}

Bound bind_clip_norm(const Context& context, const OpDesc& op, std::string*) {
  const auto a = std::get<ClipAttributes>(op.attributes);
  return make_kernel(context, {.implementation = "one thread",
                               .run = [a](const KernelArguments& arguments, cudaStream_t stream) {
                                 launch(clip_together, dim3(1), dim3(1), stream, a.limit, a.tensors,
                                        input<double>(arguments, 0), changed_input<double>(arguments, 1));
                               }});
}

}  // namespace convoy::cuda
