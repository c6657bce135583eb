// The ops of the update program: they change their operands in place. All tensors of a program's neighbouring updates share
// launches: what describes them travels by value in the kernel's own arguments, so that a captured launch reads no host
// memory, and every block looks up which tensor and which tile of it are its own.
#include <cstddef>
#include <vector>

#include "core/backend/cuda/elements.h"
#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/launch.h"
#include "core/ops/guard_math.h"
#include "core/ops/update_math.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::size_t kTableBytes = 4000;  // a kernel's arguments may have 4 KiB

/// Tensors of one launch. Entry has `elements` and `first_block`.
template <typename Entry>
struct Table {
  static constexpr int kMost = static_cast<int>((kTableBytes - sizeof(int)) / sizeof(Entry));
  Entry entries[kMost];
  int count;
};

/// The entry that a block belongs to: the last that does not begin behind it.
template <typename Entry>
__device__ __forceinline__ int entry_of(const Table<Entry>& table, int block) {
  int low = 0, high = table.count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (table.entries[middle].first_block <= block)
      low = middle;
    else
      high = middle;
  }
  return low;
}

std::int64_t tiles_of(std::int64_t elements, std::int64_t tile) { return (elements + tile - 1) / tile; }

/// Fills tables with entry(i), i in [0, count), and calls launch(table, blocks) for each.
template <typename Entry, typename Make, typename Launch>
void for_tables(std::size_t count, std::int64_t tile, Make entry, Launch launch) {
  Table<Entry> table{};
  std::int64_t blocks = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Entry& added = table.entries[table.count++] = entry(i);
    added.first_block = static_cast<int>(blocks);
    blocks += tiles_of(added.elements, tile);
    if (i + 1 < count && table.count < Table<Entry>::kMost) continue;
    launch(table, dim3(static_cast<unsigned>(blocks)));
    table.count = 0;
    blocks = 0;
  }
}

// SGD

constexpr int kSgdAhead = 4;
constexpr std::int64_t kSgdTile = std::int64_t{kThreads} * kPack<float> * kSgdAhead;

struct SgdEntry {
  float *w, *v;
  const float* gradient;
  void* copy;            // null: none
  const double* scalars;
  std::int64_t elements;
  double rate_factor;
  float decay, momentum;
  int first_block;
  DType copy_type;
  bool nesterov;
};

template <typename T, int N>
__device__ __forceinline__ void store_as(void* to, std::int64_t at, const Pack<float, N>& values) {
  Pack<T, N> pack;
#pragma unroll
  for (int k = 0; k < N; ++k) pack.at[k] = from_float<T>(values.at[k]);
  store_pack<N>(static_cast<T*>(to) + at, pack);
}

template <int N>
__device__ __forceinline__ void store_copy(const SgdEntry& entry, std::int64_t at, const Pack<float, N>& w) {
  if (entry.copy == nullptr) return;
  if (entry.copy_type == DType::bf16)
    store_as<Bf16, N>(entry.copy, at, w);
  else if (entry.copy_type == DType::f16)
    store_as<F16, N>(entry.copy, at, w);
  else
    store_as<float, N>(entry.copy, at, w);
}

/// One access of `N` elements at `at`.
template <int N>
__device__ __forceinline__ void store_sgd(const SgdEntry& entry, const math::SgdStep& step, std::int64_t at, Pack<float, N> w,
                                          Pack<float, N> v, const Pack<float, N>& gradient) {
#pragma unroll
  for (int k = 0; k < N; ++k) w.at[k] = math::sgd(step, w.at[k], v.at[k], gradient.at[k]);
  store_pack<N>(entry.w + at, w);
  store_pack<N>(entry.v + at, v);
  store_copy<N>(entry, at, w);
}

__global__ void __launch_bounds__(kThreads) update_weights(Table<SgdEntry> table) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const SgdEntry entry = table.entries[entry_of(table, block)];
  if (entry.scalars[kApply] == 0) return;
  constexpr int N = kPack<float>;
  __shared__ math::SgdStep step;
  if (thread == 0) step = math::sgd_step(entry.scalars, entry.decay, entry.momentum, entry.rate_factor, entry.nesterov);
  __syncthreads();
  const std::int64_t first = (block - entry.first_block) * kSgdTile + thread * N;
  Pack<float> w[kSgdAhead], v[kSgdAhead], gradient[kSgdAhead];
#pragma unroll
  for (int u = 0; u < kSgdAhead; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N > entry.elements) continue;
    w[u] = load_pack<N>(entry.w + at);
    v[u] = load_pack<N>(entry.v + at);
    gradient[u] = load_pack<N>(entry.gradient + at);
  }
#pragma unroll
  for (int u = 0; u < kSgdAhead; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= entry.elements) {
      store_sgd<N>(entry, step, at, w[u], v[u], gradient[u]);
    } else {
      for (std::int64_t rest = at; rest < entry.elements; ++rest)
        store_sgd<1>(entry, step, rest, load_pack<1>(entry.w + rest), load_pack<1>(entry.v + rest),
                     load_pack<1>(entry.gradient + rest));
    }
  }
}

/// What is known of an op when it is bound; `first_input`: of all the kernel's.
struct SgdOp {
  SgdAttributes attributes;
  std::int64_t elements;
  int first_input;
  bool copies;
  DType copy_type;
};

SgdEntry entry_of(const SgdOp& op, const KernelArguments& arguments) {
  const int i = op.first_input;
  return {.w = changed_input<float>(arguments, i),
          .v = changed_input<float>(arguments, i + 1),
          .gradient = input<float>(arguments, i + 2),
          .copy = op.copies ? changed_input<void>(arguments, i + 4) : nullptr,
          .scalars = input<double>(arguments, i + 3),
          .elements = op.elements,
          .rate_factor = op.attributes.rate_factor,
          .decay = static_cast<float>(op.attributes.decay),
          .momentum = static_cast<float>(op.attributes.momentum),
          .first_block = 0,
          .copy_type = op.copy_type,
          .nesterov = op.attributes.nesterov};
}

// Running statistics

constexpr std::int64_t kRunningTile = std::int64_t{kThreads} * kPack<float>;

struct RunningEntry {
  float* running;
  const float* sum;
  const double* scalars;
  std::int64_t elements;
  float keep, factor;
  int first_block;
};

__global__ void __launch_bounds__(kThreads) update_running(Table<RunningEntry> table) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const RunningEntry entry = table.entries[entry_of(table, block)];
  if (entry.scalars[kApply] == 0) return;
  constexpr int N = kPack<float>;
  const std::int64_t at = (block - entry.first_block) * kRunningTile + thread * N;
  if (at + N <= entry.elements) {
    Pack<float> running = load_pack<N>(entry.running + at);
    const Pack<float> sum = load_pack<N>(entry.sum + at);
#pragma unroll
    for (int k = 0; k < N; ++k) running.at[k] = math::blend(entry.keep, entry.factor, running.at[k], sum.at[k]);
    store_pack<N>(entry.running + at, running);
  } else {
    for (std::int64_t rest = at; rest < entry.elements; ++rest)
      entry.running[rest] = math::blend(entry.keep, entry.factor, entry.running[rest], entry.sum[rest]);
  }
}

struct RunningOp {
  std::int64_t elements;
  float keep, factor;
};

// The step's guard

constexpr int kGuardAhead = 8;
constexpr std::int64_t kGuardTile = std::int64_t{kThreads} * kPack<float> * kGuardAhead;

struct Bucket {
  const float* data;
  std::int64_t elements;
  int first_block;
};

__device__ __forceinline__ bool is_finite(float x) { return (bits_of(x) & 0x7f800000u) != 0x7f800000u; }

/// Whether any thread of the block says so; known to thread 0.
__device__ __forceinline__ bool any_of_block(bool mine) {
  __shared__ int shared[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) shared[thread] |= shared[thread + half];
  }
  return shared[0] != 0;
}

/// broken [blocks]: 1 where a block's tile holds a number that is not finite.
__global__ void __launch_bounds__(kThreads) look_for_broken(Table<Bucket> table, int* broken) {
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const Bucket bucket = table.entries[entry_of(table, block)];
  constexpr int N = kPack<float>;
  const std::int64_t first = (block - bucket.first_block) * kGuardTile + thread * N;
  bool bad = false;
  Pack<float> x[kGuardAhead];
#pragma unroll
  for (int u = 0; u < kGuardAhead; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= bucket.elements) x[u] = load_pack<N>(bucket.data + at);
  }
#pragma unroll
  for (int u = 0; u < kGuardAhead; ++u) {
    const std::int64_t at = first + u * kThreads * N;
    if (at + N <= bucket.elements) {
#pragma unroll
      for (int k = 0; k < N; ++k) bad = bad || !is_finite(x[u].at[k]);
    } else {
      for (std::int64_t rest = at; rest < bucket.elements; ++rest) bad = bad || !is_finite(bucket.data[rest]);
    }
  }
  bad = any_of_block(bad);
  if (thread == 0) broken[block] = bad;
}

__global__ void __launch_bounds__(kThreads)
    decide(math::GuardRules rules, const float* weight, const int* broken, int blocks, double* scalars) {
  bool bad = false;
  for (int b = static_cast<int>(threadIdx.x); b < blocks; b += kThreads) bad = bad || broken[b] != 0;
  bad = any_of_block(bad);
  if (threadIdx.x == 0) math::guard(rules, static_cast<double>(*weight), !bad, scalars);
}

}  // namespace

Bound bind_sgd_together(const Context& context, std::span<const OpDesc> ops) {
  std::vector<SgdOp> bound;
  int first_input = 0;
  for (const OpDesc& op : ops) {
    const bool copies = op.inputs.size() == 5;
    bound.push_back({std::get<SgdAttributes>(op.attributes), op.inputs[0].shape.elements(), first_input, copies,
                     copies ? op.inputs[4].dtype : DType::f32});
    first_input += static_cast<int>(op.inputs.size());
  }
  return make_kernel(context, {.implementation = "together",
                               .run = [bound](const KernelArguments& arguments, cudaStream_t stream) {
                                 for_tables<SgdEntry>(
                                     bound.size(), kSgdTile, [&](std::size_t i) { return entry_of(bound[i], arguments); },
                                     [&](const Table<SgdEntry>& table, dim3 grid) {
                                       launch(update_weights, grid, dim3(kThreads), stream, table);
                                     });
                               }});
}

Bound bind_running_together(const Context& context, std::span<const OpDesc> ops) {
  std::vector<RunningOp> bound;
  for (const OpDesc& op : ops) {
    const auto& a = std::get<RunningAttributes>(op.attributes);
    bound.push_back({op.inputs[0].shape.elements(), static_cast<float>(1 - a.factor),
                     static_cast<float>(a.factor / static_cast<double>(a.micro_batches))});
  }
  const auto run = [bound](const KernelArguments& arguments, cudaStream_t stream) {
    for_tables<RunningEntry>(
        bound.size(), kRunningTile,
        [&](std::size_t i) {
          const int in = 3 * static_cast<int>(i);
          return RunningEntry{.running = changed_input<float>(arguments, in),
                              .sum = input<float>(arguments, in + 1),
                              .scalars = input<double>(arguments, in + 2),
                              .elements = bound[i].elements,
                              .keep = bound[i].keep,
                              .factor = bound[i].factor,
                              .first_block = 0};
        },
        [&](const Table<RunningEntry>& table, dim3 grid) {
          launch(update_running, grid, dim3(kThreads), stream, table);
        });
  };
  return make_kernel(context, {.implementation = "together", .run = run});
}

Bound bind_sgd(const Context& context, const OpDesc& op, std::string*) { return bind_sgd_together(context, {&op, 1}); }

Bound bind_running(const Context& context, const OpDesc& op, std::string*) {
  return bind_running_together(context, {&op, 1});
}

Bound bind_guard(const Context& context, const OpDesc& op, std::string*) {
  const auto& a = std::get<GuardAttributes>(op.attributes);
  const math::GuardRules rules{a.scaling, a.most, static_cast<double>(a.growth_every), a.halts};
  std::vector<std::int64_t> elements;
  std::int64_t blocks = 0;
  for (std::size_t i = 2; i < op.inputs.size(); ++i) {
    elements.push_back(op.inputs[i].shape.elements());
    blocks += tiles_of(elements.back(), kGuardTile);
  }
  const auto run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    auto* broken = static_cast<int*>(arguments.scratch);
    std::int64_t done = 0;
    for_tables<Bucket>(
        elements.size(), kGuardTile,
        [&](std::size_t i) { return Bucket{input<float>(arguments, static_cast<int>(i) + 2), elements[i], 0}; },
        [&](const Table<Bucket>& table, dim3 grid) {
          launch(look_for_broken, grid, dim3(kThreads), stream, table, broken + done);
          done += grid.x;
        });
    launch(decide, dim3(1), dim3(kThreads), stream, rules, input<float>(arguments, 0), broken, static_cast<int>(blocks),
           changed_input<double>(arguments, 1));
  };
  return make_kernel(context, {.implementation = "blocks",
                               .run = run,
                               .scratch_bytes = static_cast<std::size_t>(blocks) * sizeof(int)});
}

}  // namespace convoy::cuda
