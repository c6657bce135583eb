#include "distributed/add.h"

#include <cstring>

#include "core/tensor/narrow.h"

namespace convoy {
namespace {

// The loops below: whole overlap is the only one allowed, so no iteration depends on another: vectorise without a
// run-time check.

void add_exact(const float* left, const float* right, float* sum, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) sum[i] = left[i] + right[i];
}

void add_rounded(const float* left, const float* right, float* sum, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) sum[i] = rounded_to<Bf16>(left[i] + right[i]);
}

void add_leaf_rounded(const float* left, const float* right, float* sum, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i)
    sum[i] = rounded_to<Bf16>(rounded_to<Bf16>(left[i]) + rounded_to<Bf16>(right[i]));
}

}  // namespace

void add(const float* left, const float* right, float* sum, std::size_t count, SumRounding rounding) {
  rounding == SumRounding::bf16 ? add_rounded(left, right, sum, count) : add_exact(left, right, sum, count);
}

void add_leaf(const float* left, const float* right, float* sum, std::size_t count, SumRounding rounding) {
  rounding == SumRounding::bf16 ? add_leaf_rounded(left, right, sum, count) : add_exact(left, right, sum, count);
}

void store_leaf(const float* leaf, float* to, std::size_t count, SumRounding rounding) {
  if (rounding == SumRounding::none) {
    if (count > 0) std::memcpy(to, leaf, count * sizeof(float));
    return;
  }
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) to[i] = rounded_to<Bf16>(leaf[i]);
}

void pack_bf16(const float* from, std::uint16_t* to, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<std::uint16_t>(bits_of(from[i]) >> 16);
}

void unpack_bf16(const std::uint16_t* from, float* to, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) to[i] = to_float(Bf16{from[i]});
}

}  // namespace convoy
