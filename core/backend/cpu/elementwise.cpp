// Activations, sums and products of equal shapes, dropout.
#include "core/backend/cpu/vector/elementwise.h"

#include <algorithm>
#include <cmath>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"
#include "core/backend/cpu/vector/random.h"
#include "core/random/philox.h"

namespace convoy::cpu {
namespace {

const ElementwiseKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
}

const RandomKernels& random_kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::random_kernels : avx2::random_kernels;
}

constexpr std::int64_t kSumBlock = 2048;  // elements of a sum of many terms that stay in the first cache

static_assert(ElementwiseKernels::kActivations == kActivationKinds);

int kind_of(const OpDesc& op) { return static_cast<int>(std::get<ActivationAttributes>(op.attributes).kind); }
float slope_of(const OpDesc& op) { return static_cast<float>(std::get<ActivationAttributes>(op.attributes).slope); }

/// Keeps or drops the n elements of one sample, from `first` on, by the words of its key.
void drop(const RandomKey& key, std::uint32_t threshold, float scale, const Reals& reals, const void* x, void* y,
          std::int64_t first, std::int64_t n) {
  // The upper half of the counters that RandomKey::block uses: which use of the key, which version of the
  // derivation.
  constexpr std::uint32_t kBlockCounters[2] = {0, kRandomVersion};
  constexpr std::int64_t kWords = 4 * kPhiloxBlocks;
  std::uint32_t words[kWords];
  float buffer[kWords];
  for (std::int64_t i = 0; i < n; i += kWords) {
    random_kernels().blocks(key.raw(), static_cast<std::uint64_t>(i) / 4, kBlockCounters, words);
    const std::int64_t count = std::min(kWords, n - i);
    kernels().keep_above(words, threshold, scale, reals.read(x, first + i, count, buffer),
                         reals.place(y, first + i, buffer), count);
    reals.put(y, first + i, count, buffer);
  }
}

}  // namespace

Bound bind_activation(const OpDesc& op, int threads, std::string*) {
  const auto f = kernels().activation[kind_of(op)];
  const float slope = slope_of(op);
  const std::int64_t n = op.inputs[0].shape.elements();
  const Reals reals(op.inputs[0].dtype);
  return make_vector_kernel(
      {.run =
           [=](const KernelArguments& arguments) {
             parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
               for_elements<1>(reals, arguments, begin, m,
                               [&](const float* const* x, float* y, std::int64_t count) { f(x[0], slope, y, count); });
             });
           },
       .in_place = {{0, 0}}});
}

namespace {

/// f(a, b, y, n)
template <typename F>
Bound bind_binary(const OpDesc& op, int threads, F f) {
  const std::int64_t n = op.inputs[0].shape.elements();
  const Reals reals(op.inputs[0].dtype);
  return make_vector_kernel(
      {.run =
           [=](const KernelArguments& arguments) {
             parallel_blocks(threads, n, kElementBlock, [&](std::int64_t begin, std::int64_t m) {
               for_elements<2>(reals, arguments, begin, m, [&](const float* const* x, float* y, std::int64_t count) {
                 f(x[0], x[1], y, count);
               });
             });
           },
       .in_place = {{0, 0}, {1, 0}}});
}

}  // namespace

Bound bind_activation_backward(const OpDesc& op, int threads, std::string*) {
  const auto f = kernels().activation_backward[kind_of(op)];
  const float slope = slope_of(op);
  return bind_binary(op, threads, [=](const float* y, const float* dy, float* dx, std::int64_t n) { f(y, dy, slope, dx, n); });
}

Bound bind_multiply(const OpDesc& op, int threads, std::string*) {
  return bind_binary(op, threads, kernels().multiply);
}

Bound bind_add(const OpDesc& op, int threads, std::string*) {
  const auto f = kernels().add;
  if (op.inputs.size() == 2) return bind_binary(op, threads, f);
  const std::int64_t n = op.inputs[0].shape.elements();
  const int terms = static_cast<int>(op.inputs.size());
  const Reals reals(op.inputs[0].dtype);
  const auto run = [=](const KernelArguments& arguments) {
    parallel_blocks(threads, n, kSumBlock, [&](std::int64_t begin, std::int64_t m) {
      float sum[kSumBlock], buffer[kSumBlock];  // y is written last: it may lie in the place of any term, even of one that
                                                // comes twice
      const auto term = [&](int i) { return reals.read(input<void>(arguments, i), begin, m, buffer); };
      f(reals.read(input<void>(arguments, 0), begin, m, sum), term(1), sum, m);
      for (int i = 2; i + 1 < terms; ++i) f(sum, term(i), sum, m);
      f(sum, term(terms - 1), reals.place(output<void>(arguments, 0), begin, sum), m);
      reals.put(output<void>(arguments, 0), begin, m, sum);
    });
  };
  KernelSpec spec{.run = run};
  for (int i = 0; i < terms; ++i) spec.in_place.emplace_back(i, 0);
  return make_vector_kernel(std::move(spec));
}

Bound bind_dropout(const OpDesc& op, int threads, std::string*) {
  const auto& dropout = std::get<DropoutAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const std::int64_t n = x[0], sample = x.elements(1, x.rank());
  const auto threshold = static_cast<std::uint32_t>(std::floor(std::ldexp(dropout.rate, 32)));
  const auto scale = static_cast<float>(1 / (1 - dropout.rate));
  const Reals reals(op.inputs[0].dtype);
  const RandomKey layer = RandomKey(dropout.seed, "dropout").child(name_key(dropout.name));
  const auto run = [=](const KernelArguments& arguments) {
    const auto* keys = input<std::uint64_t>(arguments, 1);
    parallel_for(threads, n, [&](std::int64_t i) {
      const RandomKey key = layer.child(keys[2 * i]).child(keys[2 * i + 1]);
      drop(key, threshold, scale, reals, input<void>(arguments, 0), output<void>(arguments, 0), i * sample, sample);
    });
  };
  return make_vector_kernel({.run = run, .in_place = {{0, 0}}});
}

}  // namespace convoy::cpu
