// Dropout: the same mask as on every other backend, for RandomKey's words are a pure function of (key,
// element).
#include <cmath>

#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"
#include "core/random/philox_math.h"

namespace convoy::cuda {
namespace {

/// Groups of elements that one thread visits: enough that deriving the sample's key is a small part of its
/// work.
constexpr std::uint32_t kGroups = 4;
/// A philox block yields four words.
constexpr int kWords = 4;

struct Mask {
  std::uint64_t layer;      // RandomKey(seed, "dropout").child(name_key(name))
  std::uint32_t threshold;  // an element is kept if its word is at least this
  float scale;
  std::uint32_t elements;  // of a sample
  std::uint32_t groups;    // of a sample, V elements each; the last may be short
  Divisor blocks;          // of a sample
};

/// x, y [samples, elements]; keys [samples, 2]. V is a multiple of kWords; Whole: samples are multiples of V.
template <typename T, int V, bool Whole>
__global__ void drop(Mask mask, const T* x, const std::uint64_t* keys, T* y) {
  std::uint32_t sample = blockIdx.x;
  const std::uint32_t block = mask.blocks.take(sample);
  const std::uint64_t epoch = derived_key(mask.layer, keys[2 * sample], KeyUse::child);
  const std::uint64_t key = derived_key(epoch, keys[2 * sample + 1], KeyUse::child);
  const T* from = x + static_cast<std::int64_t>(sample) * mask.elements;
  T* to = y + static_cast<std::int64_t>(sample) * mask.elements;
  for (std::uint32_t i = 0; i < kGroups; ++i) {
    const std::uint32_t group = (block * kGroups + i) * kThreads + threadIdx.x;
    if (group >= mask.groups) return;
    const std::uint32_t first = group * V;
    float value[V];
    if constexpr (Whole) load(from + first, value);
#pragma unroll
    for (int part = 0; part < V / kWords; ++part) {
      const PhiloxWords words = key_words(key, group * (V / kWords) + part, KeyUse::block);
#pragma unroll
      for (int w = 0; w < kWords; ++w) {
        const std::uint32_t e = first + part * kWords + w;
        if constexpr (!Whole) {
          if (e >= mask.elements) break;
          to[e] = from_float<T>(math::keep_above(words.at[w], mask.threshold, mask.scale, to_float(from[e])));
        } else {
          value[part * kWords + w] =
              math::keep_above(words.at[w], mask.threshold, mask.scale, value[part * kWords + w]);
        }
      }
    }
    if constexpr (Whole) store(to + first, value);
  }
}

template <typename T, int V, bool Whole>
Bound bind_drop(const Context& context, Mask mask, std::int64_t samples) {
  mask.groups = (mask.elements + V - 1) / V;
  const std::int64_t blocks = blocks_for(mask.groups, std::int64_t{kThreads} * kGroups);
  mask.blocks = Divisor(blocks);
  auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    for_samples(samples, blocks, [&](std::int64_t first, std::int64_t count) {
      const std::int64_t at = first * mask.elements;
      launch(drop<T, V, Whole>, static_cast<unsigned>(count * blocks), kThreads, stream, mask,
             input<T>(arguments, 0) + at, input<std::uint64_t>(arguments, 1) + 2 * first,
             output<T>(arguments, 0) + at);
    });
  };
  return make_kernel(context, {.implementation = "philox", .run = std::move(run), .in_place = {{0, 0}}});
}

}  // namespace

Bound bind_dropout(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& dropout = std::get<DropoutAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const std::int64_t samples = x[0], elements = x.elements(1, x.rank());
  if (too_many(elements, reason)) return nullptr;
  Mask mask{};
  mask.layer = RandomKey(dropout.seed, "dropout").child(name_key(dropout.name)).raw();
  mask.threshold = static_cast<std::uint32_t>(std::floor(std::ldexp(dropout.rate, 32)));
  mask.scale = static_cast<float>(1 / (1 - dropout.rate));
  mask.elements = static_cast<std::uint32_t>(elements);
  return with_type(op.inputs[0].dtype, [&]<typename T>(T) {
    if (elements % kPack<T> == 0) return bind_drop<T, kPack<T>, true>(context, mask, samples);
    return bind_drop<T, kWords, false>(context, mask, samples);
  });
}

}  // namespace convoy::cuda
