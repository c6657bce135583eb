// Sums of gradients: add, fold, pack_bf16, unpack_bf16 (core/backend/device.h says what they mean; host_device.cpp is the
// same in loops). All are bound by memory: 16-byte accesses where the arrays allow them.
#include "core/backend/cuda/sums.h"

#include <algorithm>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/launch.h"

namespace convoy::cuda {
namespace {

constexpr unsigned kThreads = 256;
// A few blocks for each multiprocessor of the largest device; each thread then takes several packs.
constexpr std::size_t kMostBlocks = 1024;

template <bool Rounds>
__device__ float stored(float sum) {
  return Rounds ? rounded_to<Bf16>(sum) : sum;
}

template <bool Rounds>
struct Add {
  float* to;
  const float *left, *right;
  template <int Width>
  __device__ void run(std::size_t i) const {
    const auto a = load_pack<Width>(left + i), b = load_pack<Width>(right + i);
    Pack<float, Width> sum;
    for (int k = 0; k < Width; ++k) sum.at[k] = stored<Rounds>(a.at[k] + b.at[k]);
    store_pack(to + i, sum);
  }
};

template <bool Rounds>
struct Fold {
  float* places;
  const float* leaf;
  std::size_t elements;
  FoldTable table;
  template <int Width>
  __device__ void run(std::size_t i) const {
    const std::int32_t* row = table.rows + static_cast<std::ptrdiff_t>(*table.leaf) * table.width;
    auto sum = load_pack<Width>(leaf + i);
    for (int k = 0; k < Width; ++k) sum.at[k] = stored<Rounds>(sum.at[k]);
    for (std::int32_t merge = 0; merge < row[0]; ++merge) {
      const auto left = load_pack<Width>(places + static_cast<std::size_t>(row[2 + merge]) * elements + i);
      for (int k = 0; k < Width; ++k) sum.at[k] = stored<Rounds>(left.at[k] + sum.at[k]);
    }
    store_pack(places + static_cast<std::size_t>(row[1]) * elements + i, sum);
  }
};

struct PackBf16 {
  std::uint16_t* to;
  const float* from;
  template <int Width>
  __device__ void run(std::size_t i) const {
    const auto x = load_pack<Width>(from + i);
    Pack<std::uint16_t, Width> halves;
    for (int k = 0; k < Width; ++k) halves.at[k] = to_bf16(x.at[k]).bits;
    store_pack(to + i, halves);
  }
};

struct UnpackBf16 {
  float* to;
  const std::uint16_t* from;
  template <int Width>
  __device__ void run(std::size_t i) const {
    const auto halves = load_pack<Width>(from + i);
    Pack<float, Width> x;
    for (int k = 0; k < Width; ++k) x.at[k] = to_float(Bf16{halves.at[k]});
    store_pack(to + i, x);
  }
};

template <int Width, typename Loop>
__global__ void __launch_bounds__(kThreads) run_packs(Loop loop, std::size_t elements) {
  const std::size_t packs = elements / Width, thread = std::size_t{blockIdx.x} * kThreads + threadIdx.x,
                    threads = std::size_t{gridDim.x} * kThreads;
  for (std::size_t pack = thread; pack < packs; pack += threads) loop.template run<Width>(pack * Width);
  if (thread < elements % Width) loop.template run<1>(packs * Width + thread);
}

/// `wide`: whether packs of 4 lie at multiples of 16 bytes (8 for the halves of bf16).
template <typename Loop>
void run_all(cudaStream_t stream, const Loop& loop, std::size_t elements, bool wide) {
  if (elements == 0) return;
  const std::size_t width = wide ? 4 : 1;
  const auto blocks = static_cast<unsigned>(std::min((elements / width + kThreads) / kThreads, kMostBlocks));
  launch(wide ? run_packs<4, Loop> : run_packs<1, Loop>, blocks, kThreads, stream, loop, elements);
}

bool aligned(const void* memory, std::size_t to = 16) { return reinterpret_cast<std::uintptr_t>(memory) % to == 0; }

}  // namespace

void add(cudaStream_t stream, float* to, const float* left, const float* right, std::size_t elements,
         SumRounding rounding) {
  const bool wide = aligned(to) && aligned(left) && aligned(right);
  if (rounding == SumRounding::bf16)
    run_all(stream, Add<true>{to, left, right}, elements, wide);
  else
    run_all(stream, Add<false>{to, left, right}, elements, wide);
}

void fold(cudaStream_t stream, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
          SumRounding rounding) {
  // Every place but the first is aligned only if rows are.
  const bool wide = aligned(places) && aligned(leaf) && elements % 4 == 0;
  if (rounding == SumRounding::bf16)
    run_all(stream, Fold<true>{places, leaf, elements, table}, elements, wide);
  else
    run_all(stream, Fold<false>{places, leaf, elements, table}, elements, wide);
}

void pack_bf16(cudaStream_t stream, std::uint16_t* to, const float* from, std::size_t elements) {
  run_all(stream, PackBf16{to, from}, elements, aligned(to, 8) && aligned(from));
}

void unpack_bf16(cudaStream_t stream, float* to, const std::uint16_t* from, std::size_t elements) {
  run_all(stream, UnpackBf16{to, from}, elements, aligned(to) && aligned(from, 8));
}

void rehearse_sums(cudaStream_t stream, void* memory) {
  auto* const floats = static_cast<float*>(memory);
  auto* const halves = static_cast<std::uint16_t*>(memory);
  const FoldTable first_alone{static_cast<const std::int32_t*>(memory), 2, static_cast<const std::int32_t*>(memory)};
  for (const std::size_t begin : {std::size_t{16}, std::size_t{17}}) {  // aligned, and not
    for (const SumRounding rounding : {SumRounding::none, SumRounding::bf16}) {
      add(stream, floats + begin, floats + begin, floats + begin, 4, rounding);
      fold(stream, floats + begin, floats + begin, 4, first_alone, rounding);
    }
    unpack_bf16(stream, floats + begin, halves, 4);
    pack_bf16(stream, halves, floats + begin, 4);
  }
}

}  // namespace convoy::cuda
