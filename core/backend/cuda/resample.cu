// Resampling. A thread computes V neighbouring channels of one position: a sum over the pixels that it reads, or in the
// gradient over the positions that read it, in the order of the cpu backend.
#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"
#include "core/ops/resample_math.h"

namespace convoy::cuda {
namespace {

/// Axes that are missing come first, with extent 1.
struct Resampling {
  math::ResampledAxis axis[3];
  Divisor packs, in_by[3], out_by[3];
  std::uint32_t channels;
};

template <typename T, int V>
__global__ void resample(Resampling r, const T* x, T* y, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = r.packs.take(rest) * V;
  math::Reading reading[3];
  for (int a = 2; a >= 0; --a) reading[a] = math::reading_of(r.axis[a], r.out_by[a].take(rest));
  float total[V] = {}, value[V];
  for (int corner = 0; corner < 8; ++corner) {
    std::int64_t pixel = rest;
    float weight = 1;
    for (int a = 0; a < 3; ++a) {
      const bool high = (corner >> a & 1) != 0;
      pixel = pixel * r.axis[a].in + (high ? reading[a].high : reading[a].low);
      weight *= high ? reading[a].high_weight : 1.0f - reading[a].high_weight;
    }
    if (weight == 0) continue;
    load(x + pixel * r.channels + c, value);
#pragma unroll
    for (int v = 0; v < V; ++v) total[v] = math::fused(weight, value[v], total[v]);
  }
  store(y + static_cast<std::int64_t>(item) * V, total);
}

template <typename T, int V>
__global__ void resample_backward(Resampling r, const T* dy, T* dx, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t rest = item;
  const std::uint32_t c = r.packs.take(rest) * V;
  std::int64_t pixel[3];
  math::Readers readers[3];
  for (int a = 2; a >= 0; --a) {
    pixel[a] = r.in_by[a].take(rest);
    readers[a] = math::readers_of(r.axis[a], pixel[a]);
  }
  float total[V] = {}, value[V];
  for (std::int64_t i = readers[0].begin; i < readers[0].end; ++i) {
    const float share0 = math::share_of(math::reading_of(r.axis[0], i), pixel[0]);
    if (share0 == 0) continue;
    for (std::int64_t j = readers[1].begin; j < readers[1].end; ++j) {
      const float share1 = share0 * math::share_of(math::reading_of(r.axis[1], j), pixel[1]);
      if (share1 == 0) continue;
      for (std::int64_t k = readers[2].begin; k < readers[2].end; ++k) {
        const float weight = share1 * math::share_of(math::reading_of(r.axis[2], k), pixel[2]);
        if (weight == 0) continue;
        const std::int64_t at = ((static_cast<std::int64_t>(rest) * r.axis[0].out + i) * r.axis[1].out + j) * r.axis[2].out + k;
        load(dy + at * r.channels + c, value);
#pragma unroll
        for (int v = 0; v < V; ++v) total[v] = math::fused(weight, value[v], total[v]);
      }
    }
  }
  store(dx + static_cast<std::int64_t>(item) * V, total);
}

Resampling resampling_of(const ResampleAttributes& a, const Shape& x, const Shape& y) {
  Resampling r{};
  for (int axis = 0; axis < 3; ++axis) {
    const int given = axis - (3 - a.axes);
    r.axis[axis] = given < 0 ? math::ResampledAxis{} : math::ResampledAxis{x[1 + given], y[1 + given], a.linear};
    r.in_by[axis] = Divisor(r.axis[axis].in);
    r.out_by[axis] = Divisor(r.axis[axis].out);
  }
  r.channels = static_cast<std::uint32_t>(x[-1]);
  return r;
}

template <typename T, int V>
Bound make_resample(const Context& context, Resampling r, bool backward, const Shape& from, const Shape& to) {
  r.packs = Divisor(r.channels / V);
  const std::int64_t samples = to[0], read = from.elements(1, from.rank()), made = to.elements(1, to.rank());
  auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    for_samples(samples, made / V, [&](std::int64_t first, std::int64_t count) {
      const std::int64_t items = count * made / V;
      launch(backward ? resample_backward<T, V> : resample<T, V>, blocks_for(items), kThreads, stream, r,
             input<T>(arguments, 0) + first * read, output<T>(arguments, 0) + first * made, static_cast<std::uint32_t>(items));
    });
  };
  return make_kernel(context, {.implementation = "gather", .run = std::move(run)});
}

Bound bind(const Context& context, const OpDesc& op, bool backward, std::string* reason) {
  const Shape &from = op.inputs[0].shape, &to = op.outputs[0].shape;
  if (too_many(from.elements(1, from.rank()), reason) || too_many(to.elements(1, to.rank()), reason)) return nullptr;
  const auto& a = std::get<ResampleAttributes>(op.attributes);
  const Resampling r = backward ? resampling_of(a, to, from) : resampling_of(a, from, to);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    return r.channels % kPack<T> == 0 ? make_resample<T, kPack<T>>(context, r, backward, from, to)
                                      : make_resample<T, 1>(context, r, backward, from, to);
  });
}

}  // namespace

Bound bind_resample(const Context& context, const OpDesc& op, std::string* reason) { return bind(context, op, false, reason); }

Bound bind_resample_backward(const Context& context, const OpDesc& op, std::string* reason) {
  return bind(context, op, true, reason);
}

}  // namespace convoy::cuda
