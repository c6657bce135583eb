#pragma once
// Arrays of f32, bf16 or f16 seen as floats, block by block: the kernels that are bound by memory compute in f32 on what a
// block of narrow numbers is widened to while it lies in the first cache.
#include <cstdint>

#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/vector/narrow.h"

namespace convoy::cpu {

class Reals {
 public:
  explicit Reals(DType type);
  bool narrow() const { return convert_ != nullptr; }
  std::int64_t size() const { return narrow() ? 2 : 4; }

  /// Elements [begin, begin + n) as floats: f32 where they are, others in `buffer`.
  const float* read(const void* array, std::int64_t begin, std::int64_t n, float* buffer) const;
  /// Where floats for the elements from `begin` on are to be written; put() then moves n of them from `buffer`, if that is
  /// where they are, to their place.
  float* place(void* array, std::int64_t begin, float* buffer) const;
  void put(void* array, std::int64_t begin, std::int64_t n, const float* buffer) const;

 private:
  const NarrowKernels::OfType* convert_;  // null: f32
};

/// Converts n numbers; any two of f32, bf16, f16.
using Cast = void (*)(const void* from, void* to, std::int64_t n);
Cast cast_between(DType from, DType to);

/// Elements of a block of narrow numbers: three arrays of floats stay in the first cache.
inline constexpr std::int64_t kNarrowBlock = 2048;

/// Calls body(x, y, n), x an array of Inputs pointers, for the elements [begin, begin + n) of the first inputs and of output 0,
/// all of one type; in pieces where they are narrow. y may lie where an input lies.
template <int Inputs, typename Body>
void for_elements(const Reals& reals, const KernelArguments& arguments, std::int64_t begin, std::int64_t n, Body body) {
  const float* x[Inputs];
  if (!reals.narrow()) {
    for (int i = 0; i < Inputs; ++i) x[i] = input<float>(arguments, i) + begin;
    body(x, output<float>(arguments, 0) + begin, n);
    return;
  }
  float buffers[Inputs][kNarrowBlock];
  for (std::int64_t at = begin; at < begin + n; at += kNarrowBlock) {
    const std::int64_t count = begin + n - at < kNarrowBlock ? begin + n - at : kNarrowBlock;
    for (int i = 0; i < Inputs; ++i) x[i] = reals.read(input<void>(arguments, i), at, count, buffers[i]);
    body(x, buffers[0], count);
    reals.put(output<void>(arguments, 0), at, count, buffers[0]);
  }
}

}  // namespace convoy::cpu
