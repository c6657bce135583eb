#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"
#include "core/backend/cuda/padding.h"
#include "core/ops/padding_math.h"

namespace convoy::cuda {
namespace {

struct PaddedShape {
  PadMode mode;
  int in[3], low[3], padded[3];
  std::uint32_t channels;
  Divisor packs, by[3];  // of the items of a launch: packs of channels, then the axes of its result
};

__device__ std::int64_t place(const int (&extent)[3], std::uint32_t sample, int i, int j, int k) {
  return ((static_cast<std::int64_t>(sample) * extent[0] + i) * extent[1] + j) * extent[2] + k;
}

/// One item: V channels of one position of `padded`.
template <typename T, int V>
__global__ void pad_by_copies(PaddedShape s, const T* x, T* padded, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = s.packs.take(rest) * V;
  int at[3];
#pragma unroll
  for (int a = 2; a >= 0; --a)
    at[a] = padded_source(static_cast<int>(s.by[a].take(rest)) - s.low[a], s.in[a], s.mode);
  store_pack<V>(padded + static_cast<std::int64_t>(item) * V,
                load_pack<V>(x + place(s.in, rest, at[0], at[1], at[2]) * s.channels + c));
}

/// The padded positions that copy position i of an axis: below its own place, that place, above it. Empty: end
/// <= begin.
struct Copies {
  int below, below_end, own, above, above_end;
};
__device__ Copies copies_of(const PaddedShape& s, int a, int i) {
  const int own = s.low[a] + i, last = s.in[a] - 1;
  Copies copies{0, 0, own, 0, 0};
  if (s.mode == PadMode::replicate) {
    if (i == 0) copies.below_end = own;
    if (i == last) copies.above = own + 1, copies.above_end = s.padded[a];
    return copies;
  }
  if (s.mode == PadMode::zero) return copies;
  const int edge = s.mode == PadMode::symmetric ? 1 : 0;  // 1: the edge itself is repeated
  const int below = s.low[a] - i - edge, above = s.low[a] + 2 * last - i + edge;
  if (below >= 0 && below < own) copies.below = below, copies.below_end = below + 1;
  if (above > own && above < s.padded[a]) copies.above = above, copies.above_end = above + 1;
  return copies;
}

/// Calls body(position) for all of them, in ascending order.
template <typename Body>
__device__ void for_copies(const Copies& copies, Body body) {
#pragma unroll 1
  for (int run = 0; run < 3; ++run) {
    const int begin = run == 0 ? copies.below : run == 1 ? copies.own : copies.above;
    const int end = run == 0 ? copies.below_end : run == 1 ? copies.own + 1 : copies.above_end;
#pragma unroll 1
    for (int i = begin; i < end; ++i) body(i);
  }
}

/// One item: V channels of one position of `dx`.
template <typename From, typename To, int V>
__global__ void add_copies(PaddedShape s, const From* dpadded, To* dx, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = s.packs.take(rest) * V;
  Copies copies[3];
#pragma unroll
  for (int a = 2; a >= 0; --a) copies[a] = copies_of(s, a, static_cast<int>(s.by[a].take(rest)));
  float sum[V] = {};
  for_copies(copies[0], [&](int i) {
    for_copies(copies[1], [&](int j) {
      for_copies(copies[2], [&](int k) {
        float part[V];
        load(dpadded + place(s.padded, rest, i, j, k) * s.channels + c, part);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] += part[v];
      });
    });
  });
  store(dx + static_cast<std::int64_t>(item) * V, sum);
}

/// Launches `kernel` over results [n, extents.., c], V channels an item.
template <typename From, typename To>
void launch_over(void (*kernel)(PaddedShape, const From*, To*, std::uint32_t), PaddedShape shape, int v,
                 std::int64_t n, const PerAxis& from_extents, const PerAxis& extents, const From* from, To* to,
                 cudaStream_t stream) {
  const std::int64_t c = shape.channels, positions = extents[0] * extents[1] * extents[2];
  const std::int64_t from_sample = from_extents[0] * from_extents[1] * from_extents[2] * c;
  shape.packs = Divisor(c / v);
  for (std::size_t a = 0; a < 3; ++a) shape.by[a] = Divisor(extents[a]);
  for_samples(n, positions * c / v, [&](std::int64_t first, std::int64_t count) {
    const std::int64_t items = count * positions * c / v;
    launch(kernel, blocks_for(items), kThreads, stream, shape, from + first * from_sample,
           to + first * positions * c, static_cast<std::uint32_t>(items));
  });
}

PaddedShape shape_of(PadMode mode, std::int64_t c, const PerAxis& in, const PerAxis& low,
                     const PerAxis& padded) {
  PaddedShape shape{};
  shape.mode = mode;
  shape.channels = static_cast<std::uint32_t>(c);
  for (std::size_t a = 0; a < 3; ++a) {
    shape.in[a] = static_cast<int>(in[a]);
    shape.low[a] = static_cast<int>(low[a]);
    shape.padded[a] = static_cast<int>(padded[a]);
  }
  return shape;
}

}  // namespace

CopiedPadding::CopiedPadding(PadMode mode, std::int64_t n, std::int64_t c, PerAxis in, PerAxis low,
                             PerAxis high)
    : mode_(mode), n_(n), c_(c), in_(in), low_(low) {
  for (std::size_t a = 0; a < 3; ++a) padded_[a] = low[a] + in[a] + high[a];
}

bool CopiedPadding::declines(std::string* reason) const {
  return too_many(padded_[0] * padded_[1] * padded_[2] * c_, reason);
}

std::size_t CopiedPadding::padded_bytes(DType type) const {
  return static_cast<std::size_t>(n_ * padded_[0] * padded_[1] * padded_[2] * c_) * size_of(type);
}

void CopiedPadding::pad(DType type, const void* x, void* padded, cudaStream_t stream) const {
  const PaddedShape shape = shape_of(mode_, c_, in_, low_, padded_);
  with_type(type, [&]<typename T>(T) {
    const bool packs = c_ % kPack<T> == 0;
    launch_over(packs ? pad_by_copies<T, kPack<T>> : pad_by_copies<T, 1>, shape, packs ? kPack<T> : 1, n_, in_,
                padded_, static_cast<const T*>(x), static_cast<T*>(padded), stream);
  });
}

void CopiedPadding::add_back(DType from, DType to, const void* dpadded, void* dx, cudaStream_t stream) const {
  const PaddedShape shape = shape_of(mode_, c_, in_, low_, padded_);
  const auto run = [&]<typename From, typename To>(From, To) {
    const bool packs = c_ % kPack<To> == 0;
    launch_over(packs ? add_copies<From, To, kPack<To>> : add_copies<From, To, 1>, shape, packs ? kPack<To> : 1,
                n_, padded_, in_, static_cast<const From*>(dpadded), static_cast<To*>(dx), stream);
  };
  with_type(to, [&]<typename To>(To target) {
    if (from == to) return run(target, target);
    run(float{}, target);
  });
}

}  // namespace convoy::cuda
