#pragma once
// Products of matrices by tiles in shared memory, f32, for convolutions and dense layers that no library takes.
// An element of the result is summed by one thread in the order of the depth, so its bits depend on the problem
// alone.
//
// A Problem says what the matrices are:
//   Tiling tiling                                      how the result is cut, and over which depths
//   float a(part, row, k), float b(part, k, column)    factors
//   void store(part, row, column, sum)
//   kDepthFirstA, kDepthFirstB                         whether neighbours in memory are neighbours in depth
#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"

namespace convoy::cuda {

/// A result of `parts` matrices [rows, columns]. A part is a group of channels, or one of `splits` runs of the
/// depth.
struct Tiling {
  std::uint32_t rows, columns, depth;  // depth of one split, but for the last
  std::uint32_t whole_depth;
  Divisor splits;
  Divisor row_tiles, column_tiles;

  /// Tiles of all parts: blocks of the launch.
  std::int64_t blocks(std::int64_t parts) const { return parts * row_tiles.value() * column_tiles.value(); }
};

struct TilePart {
  std::uint32_t number, group, split;
};

inline constexpr int kTileDepth = 16;

/// Threads are 4 x 4 elements each.
template <int Rows, int Columns>
inline constexpr int kTileThreads = Rows* Columns / 16;

inline Tiling make_tiling(std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t splits,
                          int tile_rows, int tile_columns) {
  Tiling t{};
  t.rows = static_cast<std::uint32_t>(rows);
  t.columns = static_cast<std::uint32_t>(columns);
  t.whole_depth = static_cast<std::uint32_t>(depth);
  t.depth = static_cast<std::uint32_t>((depth + splits - 1) / splits);
  t.splits = Divisor(splits);
  t.row_tiles = Divisor((rows + tile_rows - 1) / tile_rows);
  t.column_tiles = Divisor((columns + tile_columns - 1) / tile_columns);
  return t;
}

/// tile[d][e] = get(first + e, k + d), 0 beyond the ends.
template <bool DepthFirst, int Extent, typename Get>
__device__ inline void fill_tile(float (&tile)[kTileDepth][Extent + 4], int threads, std::uint32_t first,
                                 std::uint32_t limit, std::uint32_t k, std::uint32_t end, Get get) {
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < Extent * kTileDepth; i += threads) {
    const int d = DepthFirst ? i % kTileDepth : i / Extent;
    const int e = DepthFirst ? i / kTileDepth : i % Extent;
    const bool inside = first + e < limit && k + d < end;
    tile[d][e] = inside ? get(first + e, k + d) : 0.0f;
  }
}

template <typename Problem, int Rows, int Columns>
__global__ void __launch_bounds__(kTileThreads<Rows, Columns>, 3) multiply_tiles(Problem problem) {
  __shared__ __align__(16) float left[kTileDepth][Rows + 4];
  __shared__ __align__(16) float right[kTileDepth][Columns + 4];
  constexpr int kThreadsHere = kTileThreads<Rows, Columns>;
  const Tiling& t = problem.tiling;
  std::uint32_t rest = blockIdx.x;
  const std::uint32_t first_row = t.row_tiles.take(rest) * Rows,
                      first_column = t.column_tiles.take(rest) * Columns;
  TilePart part{rest, rest, 0};
  part.split = t.splits.take(part.group);
  const std::uint32_t begin = part.split * t.depth, end = min(begin + t.depth, t.whole_depth);
  const int row = static_cast<int>(threadIdx.x) / (Columns / 4) * 4,
            column = static_cast<int>(threadIdx.x) % (Columns / 4) * 4;
  float sum[4][4] = {};
  for (std::uint32_t k = begin; k < end; k += kTileDepth) {
    fill_tile<Problem::kDepthFirstA, Rows>(
        left, kThreadsHere, first_row, t.rows, k, end,
        [&](std::uint32_t r, std::uint32_t d) { return problem.a(part, r, d); });
    fill_tile<Problem::kDepthFirstB, Columns>(
        right, kThreadsHere, first_column, t.columns, k, end,
        [&](std::uint32_t c, std::uint32_t d) { return problem.b(part, d, c); });
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kTileDepth; ++d) {
      const Pack<float, 4> a = load_pack<4>(&left[d][row]), b = load_pack<4>(&right[d][column]);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = math::fused(a.at[i], b.at[j], sum[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const std::uint32_t r = first_row + row + i, c = first_column + column + j;
      if (r < t.rows && c < t.columns) problem.store(part, r, c, sum[i][j]);
    }
}

/// Results with few columns are cut into tall tiles.
inline constexpr int kFewColumns = 16;

/// Fills in the problem's tiling and enqueues it. `parts`: groups times splits.
template <typename Problem>
void multiply(Problem problem, std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t groups,
              std::int64_t splits, cudaStream_t stream) {
  const bool tall = columns <= kFewColumns;
  const int tile_rows = tall ? 256 : 64, tile_columns = tall ? kFewColumns : 64;
  problem.tiling = make_tiling(rows, columns, depth, splits, tile_rows, tile_columns);
  launch(tall ? multiply_tiles<Problem, 256, kFewColumns> : multiply_tiles<Problem, 64, 64>,
         static_cast<unsigned>(problem.tiling.blocks(groups * splits)), 256, stream, problem);
}

/// Runs of the depth that a result with a long depth and few tiles is cut into: enough blocks for any device,
/// at least 256 terms each.
inline std::int64_t splits_for(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                               std::int64_t groups) {
  const std::int64_t tiles = std::max<std::int64_t>(groups * ((rows + 63) / 64) * ((columns + 63) / 64), 1);
  return std::clamp<std::int64_t>(512 / tiles, 1, std::clamp<std::int64_t>(depth / 256, 1, 64));
}

}  // namespace convoy::cuda
