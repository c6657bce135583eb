#pragma once
// The innermost matrix product: a block of rows x a few vectors of columns held in registers.
#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {

/// c [Rows, Vectors lanes] (+)= a b, where a's element (row, k) lies at a[row * row_step + k * k_step] and b's
/// row k at b + k * b_step.
template <int Rows, int Vectors>
CONVOY_INLINE void multiply_block(const float* a, i64 row_step, i64 k_step, const float* b, i64 b_step,
                                  i64 depth, float* c, i64 c_step, bool accumulate) {
  Vec total[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) total[r][v] = accumulate ? load(c + r * c_step + v * kLanes) : zero();
  for (i64 k = 0; k < depth; ++k) {
    Vec right[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) right[v] = load(b + k * b_step + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec left = broadcast(a[r * row_step + k * k_step]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) total[r][v] = fma(left, right[v], total[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(c + r * c_step + v * kLanes, total[r][v]);
}

}  // namespace convoy::cpu::CONVOY_ISA
