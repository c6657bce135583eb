// Losses and what is counted beside them, f32. Sums have three levels, cut by the problem alone: chunks of a
// sample's elements (f32 in a thread, double over the threads of a block), chunks of a sample, samples
// (double).
//
// Labels were checked where they entered the device's memory. One beyond the classes reads nothing here: what
// depends on it is not a number.
#include "core/backend/cuda/block_sum.cuh"
#include "core/backend/cuda/lanes.h"

namespace convoy::cuda {
namespace {

/// Elements of a sample that one block sums.
constexpr std::int64_t kChunk = 16 * kThreads;

__device__ inline float not_a_number() { return math::from_bits(0x7fc00000u); }

// Elements of losses: term(i) for element i of the array.

struct Squared {
  const float *prediction, *target;
  __device__ float term(std::int64_t i) const {
    const float d = prediction[i] - target[i];
    return d * d;
  }
};

struct Binary {
  const float *logits, *target;
  float* probabilities;  // may be null
  __device__ float term(std::int64_t i) const {
    if (probabilities != nullptr) probabilities[i] = math::sigmoid(logits[i]);
    return math::binary_cross_entropy(logits[i], target[i]);
  }
};

struct Given {
  const float* terms;
  __device__ float term(std::int64_t i) const { return terms[i]; }
};

/// sums [samples, chunks] of the elements [samples, size]; a block is one chunk.
template <typename Elements>
__global__ void sum_chunks(Elements elements, std::int64_t size, Divisor chunks, double* sums) {
  std::uint32_t sample = blockIdx.x;
  const std::int64_t begin = chunks.take(sample) * kChunk;
  const std::int64_t end = begin + kChunk < size ? begin + kChunk : size;
  float mine = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) mine += elements.term(sample * size + i);
  const double sum = block_sum(static_cast<double>(mine));
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

/// l_n = (sum over the sample's chunks) / size;  loss = scale sum of w_n l_n. One block. loss and losses may be
/// null.
__global__ void sum_samples(const double* sums, int chunks, double size, const float* weights, double scale,
                            int samples, float* losses, float* loss) {
  double mine = 0;
  for (int n = static_cast<int>(threadIdx.x); n < samples; n += kThreads) {
    double sum = 0;
    for (int chunk = 0; chunk < chunks; ++chunk) sum += sums[static_cast<std::int64_t>(n) * chunks + chunk];
    const float l = static_cast<float>(sum / size);
    if (losses != nullptr) losses[n] = l;
    mine += static_cast<double>(weights[n]) * static_cast<double>(l);
  }
  const double sum = block_sum(mine);
  if (threadIdx.x == 0 && loss != nullptr) *loss = static_cast<float>(scale * sum);
}

/// Total of n numbers. One block.
__global__ void sum_all(const float* x, int n, float* total) {
  double mine = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) mine += static_cast<double>(x[i]);
  const double sum = block_sum(mine);
  if (threadIdx.x == 0) *total = static_cast<float>(sum);
}

/// The cross-entropy with the label's target, smoothed, and probabilities (may be null), of rows of k logits. `Lanes`
/// neighbouring lanes take one row.
template <int Lanes>
__global__ void softmax_rows(const float* logits, const std::int32_t* labels, int k, std::int64_t rows, float smoothing,
                             float* probabilities, float* losses) {
  const std::int64_t row = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) / Lanes;
  const int lane = static_cast<int>(threadIdx.x) % Lanes;
  const bool active = row < rows;  // the others take part in the exchanges of their warp
  const float* x = logits + (active ? row * k : 0);
  const int end = active ? k : 0;
  float top = math::from_bits(0xff800000u);  // minus infinity
  for (int j = lane; j < end; j += Lanes) top = x[j] > top ? x[j] : top;
  top = lane_largest<Lanes>(top);
  float total = 0;
  for (int j = lane; j < end; j += Lanes) total += math::exp(x[j] - top);
  total = lane_sum<Lanes>(total);
  float below = 0;  // the sum of x - top
  if (smoothing > 0) {
    for (int j = lane; j < end; j += Lanes) below += x[j] - top;
    below = lane_sum<Lanes>(below);
  }
  if (!active) return;
  const float inverse = 1.0f / total;
  if (probabilities != nullptr)
    for (int j = lane; j < k; j += Lanes) probabilities[row * k + j] = math::exp(x[j] - top) * inverse;
  if (lane != 0) return;
  const std::int32_t label = labels[row];
  float own = label < 0 || label >= k ? not_a_number() : x[label];
  if (smoothing > 0) own = top + ((1.0f - smoothing) * (own - top) + smoothing * (below / static_cast<float>(k)));
  losses[row] = math::cross_entropy(total, top, own);
}

/// (p - target) factor; factor = scale w_n s / positions, s the loss scale (null: 1).
struct Factors {
  double scale;  // all but w_n and s
  const float *weights, *loss_scale;
  __device__ float of(std::uint32_t sample) const {
    const double weighted = scale * static_cast<double>(weights[sample]);
    return static_cast<float>(loss_scale != nullptr ? weighted * static_cast<double>(*loss_scale) : weighted);
  }
};

template <int V>
__global__ void softmax_backward(const float* p, const std::int32_t* labels, math::Smoothed target, Factors factors, Divisor packs,
                                 Divisor positions, float* gradient, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t row = item;
  const int first = static_cast<int>(packs.take(row)) * V, k = static_cast<int>(packs.value()) * V;
  const std::int32_t label = labels[row];
  float factor = factors.of(positions.quotient(row));
  if (label < 0 || label >= k) factor = not_a_number();
  float value[V];
  load(p + static_cast<std::int64_t>(item) * V, value);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const float other = value[v] - target.others;
    value[v] = (first + v == label ? other - target.label : other) * factor;
  }
  store(gradient + static_cast<std::int64_t>(item) * V, value);
}

/// (a - b) factor.
template <int V>
__global__ void difference(const float* a, const float* b, Factors factors, Divisor packs, float* gradient,
                           std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  const float factor = factors.of(packs.quotient(item));
  const std::int64_t at = static_cast<std::int64_t>(item) * V;
  float left[V], right[V];
  load(a + at, left);
  load(b + at, right);
#pragma unroll
  for (int v = 0; v < V; ++v) left[v] = (left[v] - right[v]) * factor;
  store(gradient + at, left);
}

/// hits[n] = w_n where fewer than `top` logits beat the label's, else 0; a warp takes one row of k logits.
__global__ void hits_of_rows(const float* logits, const std::int32_t* labels, const float* weights, int k,
                             int top, int rows, float* hits) {
  const int row = static_cast<int>((blockIdx.x * kThreads + threadIdx.x) / 32),
            lane = static_cast<int>(threadIdx.x) % 32;
  if (row >= rows) return;  // whole warps
  const std::int32_t label = labels[row];
  const bool known = label >= 0 && label < k;
  const float* x = logits + static_cast<std::int64_t>(row) * k;
  const float own = known ? x[label] : not_a_number();
  int better = 0;
  for (int j = lane; j < k; j += 32) better += x[j] > own || (x[j] == own && j < label) ? 1 : 0;
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) better += __shfl_xor_sync(0xffffffffu, better, flip);
  if (lane != 0) return;
  const bool hit = own == own && better < top;
  hits[row] = !known ? not_a_number() : hit ? weights[row] : 0.0f;
}

/// Samples, and how their elements are cut.
struct Cut {
  std::int64_t samples, size, chunks;
  explicit Cut(const Shape& shape, std::int64_t elements_of_sample)
      : samples(shape[0]), size(elements_of_sample), chunks((size + kChunk - 1) / kChunk) {}
  std::size_t bytes() const {
    return round_up_256(static_cast<std::size_t>(samples * chunks) * sizeof(double));
  }
};

bool too_many(const Cut& cut, std::string* reason) {
  return cuda::too_many(cut.size, reason) || cuda::too_many(cut.samples * cut.chunks, reason);
}

template <typename Elements>
void sum_up(const Cut& cut, const Elements& elements, const float* weights, double scale, double* sums,
            float* losses, float* loss, cudaStream_t stream) {
  launch(sum_chunks<Elements>, static_cast<unsigned>(cut.samples * cut.chunks), kThreads, stream, elements,
         cut.size, Divisor(cut.chunks), sums);
  launch(sum_samples, 1, kThreads, stream, sums, static_cast<int>(cut.chunks), static_cast<double>(cut.size),
         weights, scale, static_cast<int>(cut.samples), losses, loss);
}

double scale_of(const OpDesc& op) { return std::get<LossAttributes>(op.attributes).scale; }
float smoothing_of(const OpDesc& op) { return static_cast<float>(std::get<LossAttributes>(op.attributes).smoothing); }

Factors factors_of(double scale, const KernelArguments& arguments) {
  return {scale, input<float>(arguments, 2),
          arguments.inputs.size() > 3 ? input<float>(arguments, 3) : nullptr};
}

/// Rows of up to this many logits are taken by one thread each.
constexpr std::int64_t kShortRow = 8;

}  // namespace

Bound bind_softmax(const Context& context, const OpDesc& op, std::string* reason) {
  const Shape& logits = op.inputs[0].shape;
  const std::int64_t k = logits[-1];
  const Cut cut(logits, logits.elements(1, logits.rank() - 1));
  if (too_many(cut, reason) || cuda::too_many(cut.size * k, reason)) return nullptr;
  const double scale = scale_of(op);
  const float smoothing = smoothing_of(op);
  KernelSpec spec;
  spec.implementation = k <= kShortRow ? "thread per row" : "warp per row";
  spec.scratch_bytes = cut.bytes() + static_cast<std::size_t>(cut.samples * cut.size) * sizeof(float);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* sums = static_cast<double*>(arguments.scratch);
    auto* terms = reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) + cut.bytes());
    const std::int64_t rows = cut.samples * cut.size;
    const auto kernel = k <= kShortRow ? softmax_rows<1> : softmax_rows<32>;
    launch(kernel, blocks_for(rows, k <= kShortRow ? kThreads : kThreads / 32), kThreads, stream,
           input<float>(arguments, 0), input<std::int32_t>(arguments, 1), static_cast<int>(k), rows, smoothing,
           output<float>(arguments, 1), terms);
    sum_up(cut, Given{terms}, input<float>(arguments, 2), scale, sums, output<float>(arguments, 2),
           output<float>(arguments, 0), stream);
  };
  return make_kernel(context, std::move(spec));
}

Bound bind_softmax_backward(const Context& context, const OpDesc& op, std::string* reason) {
  const Shape& p = op.inputs[0].shape;
  const std::int64_t samples = p[0], k = p[-1], positions = p.elements(1, p.rank() - 1);
  if (cuda::too_many(positions * k, reason)) return nullptr;
  const double scale = scale_of(op) / static_cast<double>(positions);
  const int v = k % kPack<float> == 0 ? kPack<float> : 1;
  const math::Smoothed target = math::smoothed(smoothing_of(op), static_cast<float>(k));
  const auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    const std::int64_t sample_items = positions * k / v;
    for_samples(samples, sample_items, [&](std::int64_t first, std::int64_t count) {
      Factors factors = factors_of(scale, arguments);
      factors.weights += first;
      const std::int64_t items = count * sample_items, at = first * positions * k;
      launch(v == 1 ? softmax_backward<1> : softmax_backward<kPack<float>>, blocks_for(items), kThreads, stream,
             input<float>(arguments, 0) + at, input<std::int32_t>(arguments, 1) + first * positions, target, factors,
             Divisor(k / v), Divisor(positions), output<float>(arguments, 0) + at,
             static_cast<std::uint32_t>(items));
    });
  };
  return make_kernel(context, {.implementation = "element-wise", .run = run, .in_place = {{0, 0}}});
}

Bound bind_element_loss(const Context& context, const OpDesc& op, std::string* reason) {
  const Shape& x = op.inputs[0].shape;
  const Cut cut(x, x.elements(1, x.rank()));
  if (too_many(cut, reason)) return nullptr;
  const double scale = scale_of(op);
  const bool binary = op.kind == OpKind::binary_cross_entropy;
  const auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* sums = static_cast<double*>(arguments.scratch);
    const float *a = input<float>(arguments, 0), *t = input<float>(arguments, 1),
                *weights = input<float>(arguments, 2);
    float* loss = output<float>(arguments, 0);
    if (binary)
      sum_up(cut, Binary{a, t, output<float>(arguments, 1)}, weights, scale, sums, output<float>(arguments, 2),
             loss, stream);
    else
      sum_up(cut, Squared{a, t}, weights, scale, sums, output<float>(arguments, 1), loss, stream);
  };
  return make_kernel(context, {.implementation = "two-level", .run = run, .scratch_bytes = cut.bytes()});
}

/// d l_i / dx = 2 (x - t) / size for squares, (p - t) / size for the binary cross-entropy.
Bound bind_element_loss_backward(const Context& context, const OpDesc& op, std::string* reason) {
  const Shape& x = op.inputs[0].shape;
  const std::int64_t samples = x[0], size = x.elements(1, x.rank());
  if (cuda::too_many(size, reason)) return nullptr;
  const double scale =
      (op.kind == OpKind::mean_squared_backward ? 2 : 1) * scale_of(op) / static_cast<double>(size);
  const int v = size % kPack<float> == 0 ? kPack<float> : 1;
  const auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    for_samples(samples, size / v, [&](std::int64_t first, std::int64_t count) {
      Factors factors = factors_of(scale, arguments);
      factors.weights += first;
      const std::int64_t items = count * size / v, at = first * size;
      launch(v == 1 ? difference<1> : difference<kPack<float>>, blocks_for(items), kThreads, stream,
             input<float>(arguments, 0) + at, input<float>(arguments, 1) + at, factors, Divisor(size / v),
             output<float>(arguments, 0) + at, static_cast<std::uint32_t>(items));
    });
  };
  return make_kernel(context, {.implementation = "element-wise", .run = run, .in_place = {{0, 0}}});
}

Bound bind_top_k(const Context& context, const OpDesc& op, std::string* reason) {
  const Shape& logits = op.inputs[0].shape;
  const std::int64_t samples = logits[0], classes = logits[1], k = std::get<TopKAttributes>(op.attributes).k;
  if (cuda::too_many(classes, reason) || cuda::too_many(samples * 32, reason)) return nullptr;
  KernelSpec spec;
  spec.implementation = "warp per row";
  spec.scratch_bytes = static_cast<std::size_t>(samples) * sizeof(float);
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* hits = static_cast<float*>(arguments.scratch);
    launch(hits_of_rows, blocks_for(samples, kThreads / 32), kThreads, stream, input<float>(arguments, 0),
           input<std::int32_t>(arguments, 1), input<float>(arguments, 2), static_cast<int>(classes),
           static_cast<int>(k), static_cast<int>(samples), hits);
    launch(sum_all, 1, kThreads, stream, hits, static_cast<int>(samples), output<float>(arguments, 0));
  };
  return make_kernel(context, std::move(spec));
}

Bound bind_sum_weights(const Context& context, const OpDesc& op, std::string* reason) {
  const std::int64_t n = op.inputs[0].shape.elements();
  if (cuda::too_many(n, reason)) return nullptr;
  return make_kernel(context, {.implementation = "one block",
                               .run = [=](const KernelArguments& arguments, cudaStream_t stream) {
                                 launch(sum_all, 1, kThreads, stream, input<float>(arguments, 0),
                                        static_cast<int>(n), output<float>(arguments, 0));
                               }});
}

}  // namespace convoy::cuda
