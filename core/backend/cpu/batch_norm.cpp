// Batch normalisation (Ioffe & Szegedy 2015, algorithm 1). The moments are taken block by block, each block
// around its own mean while it lies in the first cache, and joined in double (Chan et al. 1983): one pass over
// memory with the accuracy of two.
#include "core/backend/cpu/channel_columns.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"
#include "core/ops/batch_norm_math.h"

namespace convoy::cpu {
namespace {

/// Cuts the scratch space into arrays; the same calls at bind time with a null base give the size.
class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<std::byte*>(base)) {}
  template <typename T>
  T* take(std::int64_t count) {
    T* at = reinterpret_cast<T*>(base_ + used_);
    used_ += round_up_64(static_cast<std::size_t>(count) * sizeof(T));
    return at;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

/// Operands as the kernels take them: f32, and f16 by way of floats.
template <typename T>
struct View : Reals {
  using Reals::Reals;
};
/// bf16 where it lies.
template <>
struct View<Bf16> {
  explicit View(DType) {}
  bool narrow() const { return false; }
  const Bf16* read(const void* array, std::int64_t begin, std::int64_t, float*) const {
    return static_cast<const Bf16*>(array) + begin;
  }
  Bf16* place(void* array, std::int64_t begin, float*) const { return static_cast<Bf16*>(array) + begin; }
  void put(void*, std::int64_t, std::int64_t, const float*) const {}
};

/// x and y in blocks of columns, on some threads. T: what the kernels read, float or Bf16.
template <typename T>
struct Problem {
  Columns columns;
  View<T> reals;
  BatchNormAttributes attributes;
  int threads;

  /// Floats to which threads widen blocks of narrow numbers, `each` blocks for each thread.
  std::int64_t buffer_floats(int each) const { return reals.narrow() ? threads * each * columns.block : 0; }
  static const NormKernels<T>& kernels() {
    if constexpr (std::is_same_v<T, Bf16>)
      return channel_kernels().norm_bf16;
    else
      return channel_kernels().norm;
  }
};

struct Moments {
  double* mean;     // [c]
  double* squares;  // [c]: sum of squared differences from the mean
};

struct ForwardScratch {
  float *sums, *squares, *means;                        // [blocks, period]
  float *mean_columns, *scale_columns, *shift_columns;  // [period]
  float *scale, *rounded_mean;                          // [c]
  Moments moments;
  float* buffers;                                       // [threads, 2, block] if x is narrow: x, residual
  std::size_t bytes;

  template <typename T>
  ForwardScratch(const Problem<T>& problem, void* base) {
    const Columns& columns = problem.columns;
    Carver carver(base);
    const std::int64_t parts = columns.blocks() * columns.period;
    for (float** p : {&sums, &squares, &means}) *p = carver.take<float>(parts);
    for (float** p : {&mean_columns, &scale_columns, &shift_columns}) *p = carver.take<float>(columns.period);
    for (float** p : {&scale, &rounded_mean}) *p = carver.take<float>(columns.channels);
    for (double** p : {&moments.mean, &moments.squares}) *p = carver.take<double>(columns.channels);
    buffers = carver.take<float>(problem.buffer_floats(2));
    bytes = carver.used();
  }
};

/// Joins the blocks' moments: sum (x - mean)^2 = sum over groups of (their own squares + count (their mean -
/// mean)^2).
void join_moments(const Columns& columns, const ForwardScratch& s) {
  columns.fold(s.sums, s.moments.mean);
  columns.fold(s.squares, s.moments.squares);
  for (std::int64_t c = 0; c < columns.channels; ++c) s.moments.mean[c] /= static_cast<double>(columns.rows());
  for (std::int64_t b = 0; b < columns.blocks(); ++b) {
    const std::int64_t rows = columns.length(b) / columns.period, tail = columns.length(b) % columns.period;
    for (std::int64_t column = 0, c = 0; column < columns.period;
         ++column, c = c + 1 == columns.channels ? 0 : c + 1) {
      const auto count = static_cast<double>(rows + (column < tail ? 1 : 0));
      const double d = static_cast<double>(s.means[b * columns.period + column]) - s.moments.mean[c];
      s.moments.squares[c] += count * d * d;
    }
  }
}

/// `residual`: null where none is fused.
template <typename T>
void normalise(const Problem<T>& p, const ForwardScratch& s, const void* x, const void* residual, void* y) {
  const bool relu = p.attributes.activation == ActivationKind::relu;
  parallel_for_slots(p.threads, p.columns.blocks(), [&](std::int64_t b, int slot) {
    const std::int64_t at = b * p.columns.block, n = p.columns.length(b);
    float* buffer = s.buffers + 2 * slot * p.columns.block;
    const T* added = residual == nullptr ? nullptr : p.reals.read(residual, at, n, buffer + p.columns.block);
    p.kernels().normalise(p.reals.read(x, at, n, buffer), s.mean_columns, s.scale_columns, s.shift_columns, added, relu,
                                p.reals.place(y, at, buffer), n, p.columns.period);
    p.reals.put(y, at, n, buffer);
  });
}

/// Each block's moments, joined.
template <typename T>
void take_moments(const Problem<T>& p, const ForwardScratch& s, const void* x) {
  const Columns& columns = p.columns;
  parallel_for_slots(p.threads, columns.blocks(), [&](std::int64_t b, int slot) {
    const std::int64_t at = b * columns.period, n = columns.length(b);
    p.kernels().moments(p.reals.read(x, b * columns.block, n, s.buffers + 2 * slot * columns.block), s.sums + at,
                              s.squares + at, s.means + at, n, columns.period);
  });
  join_moments(columns, s);
}

template <typename T>
void run_forward(const Problem<T>& p, const KernelArguments& arguments) {
  const Columns& columns = p.columns;
  const ForwardScratch s(p, arguments.scratch);
  const void* x = input<void>(arguments, 0);
  const float* gamma = input<float>(arguments, 1);
  take_moments(p, s, x);
  float* mean = output<float>(arguments, 1);
  float* inverse_deviation = output<float>(arguments, 2);
  float* variance = output<float>(arguments, 3);
  const auto m = static_cast<double>(columns.rows());
  for (std::int64_t c = 0; c < columns.channels; ++c) {
    const math::BatchNorm norm =
        math::batch_norm(s.moments.mean[c], s.moments.squares[c], m, p.attributes.epsilon, gamma[c]);
    s.rounded_mean[c] = norm.mean;
    s.scale[c] = norm.scale;
    if (mean != nullptr) mean[c] = norm.mean;
    if (inverse_deviation != nullptr) inverse_deviation[c] = norm.inverse_deviation;
    if (variance != nullptr) variance[c] = norm.variance;
  }
  columns.spread(s.rounded_mean, s.mean_columns);
  columns.spread(s.scale, s.scale_columns);
  columns.spread(input<float>(arguments, 2), s.shift_columns);
  normalise(p, s, x, p.attributes.residual ? input<void>(arguments, 3) : nullptr, output<void>(arguments, 0));
}

template <typename T>
void run_inference(const Problem<T>& p, const KernelArguments& arguments) {
  const Columns& columns = p.columns;
  const ForwardScratch s(p, arguments.scratch);
  const float* gamma = input<float>(arguments, 1);
  const float* variance = input<float>(arguments, 4);
  for (std::int64_t c = 0; c < columns.channels; ++c)
    s.scale[c] = math::batch_norm_scale(gamma[c], variance[c], p.attributes.epsilon);
  columns.spread(input<float>(arguments, 3), s.mean_columns);
  columns.spread(s.scale, s.scale_columns);
  columns.spread(input<float>(arguments, 2), s.shift_columns);
  normalise(p, s, input<void>(arguments, 0), p.attributes.residual ? input<void>(arguments, 5) : nullptr,
            output<void>(arguments, 0));
}

/// x, running mean -> this micro-batch's part of the batch's moments (GlobalBatchNormAttributes).
template <typename T>
void run_moments(const Problem<T>& p, const KernelArguments& arguments) {
  const ForwardScratch s(p, arguments.scratch);
  take_moments(p, s, input<void>(arguments, 0));
  const float* k = input<float>(arguments, 1);
  float* sums = output<float>(arguments, 0);
  const std::int64_t channels = p.columns.channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double distance = s.moments.mean[c] - static_cast<double>(k[c]);
    sums[c] = static_cast<float>(distance);
    sums[channels + c] = static_cast<float>(s.moments.squares[c] / static_cast<double>(p.columns.rows()) + distance * distance);
  }
}

template <typename T>
void run_global(const Problem<T>& p, double parts, const KernelArguments& arguments) {
  const Columns& columns = p.columns;
  const ForwardScratch s(p, arguments.scratch);
  const float *gamma = input<float>(arguments, 1), *k = input<float>(arguments, 3), *sums = input<float>(arguments, 4);
  const double count = parts * static_cast<double>(columns.rows());
  for (std::int64_t c = 0; c < columns.channels; ++c) {
    const math::BatchNorm norm = math::global_batch_norm(static_cast<double>(k[c]), static_cast<double>(sums[c]),
                                                         static_cast<double>(sums[columns.channels + c]), parts, count,
                                                         p.attributes.epsilon, gamma[c]);
    s.rounded_mean[c] = norm.mean;
    s.scale[c] = norm.scale;
    const float statistics[] = {norm.mean, norm.inverse_deviation, norm.variance};
    for (std::size_t i = 0; i < 3; ++i)
      if (float* statistic = output<float>(arguments, 1 + i)) statistic[c] = statistics[i];
  }
  columns.spread(s.rounded_mean, s.mean_columns);
  columns.spread(s.scale, s.scale_columns);
  columns.spread(input<float>(arguments, 2), s.shift_columns);
  normalise(p, s, input<void>(arguments, 0), nullptr, output<void>(arguments, 0));
}

struct BackwardScratch {
  float *sums, *products;                                   // [blocks, period]
  float *mean_columns, *a_columns, *b_columns, *c_columns;  // [period]
  float *a, *b, *c;                                         // [c]
  double *dbeta, *centred;                                  // [c]: sums of d, of d (x - mean)
  float* buffers;                                           // [threads, 3, block] if x is narrow: x, dy, y
  std::size_t bytes;

  template <typename T>
  BackwardScratch(const Problem<T>& problem, void* base) {
    const Columns& columns = problem.columns;
    Carver carver(base);
    const std::int64_t parts = columns.blocks() * columns.period;
    for (float** p : {&sums, &products}) *p = carver.take<float>(parts);
    for (float** p : {&mean_columns, &a_columns, &b_columns, &c_columns})
      *p = carver.take<float>(columns.period);
    for (float** p : {&a, &b, &c}) *p = carver.take<float>(columns.channels);
    for (double** p : {&dbeta, &centred}) *p = carver.take<double>(columns.channels);
    buffers = carver.take<float>(problem.buffer_floats(3));
    bytes = carver.used();
  }
};

/// The gradient behind the activation: dy, and y where it is still to be masked.
struct Arriving {
  const void *dy, *y;
};

/// One block of the operands; y is null where dy is not to be masked.
template <typename T>
struct BackwardBlock {
  std::int64_t at, n;
  float* dx_buffer;  // dy's: an element of dx needs none of dy behind its own
  const T *x, *dy, *y;

  BackwardBlock(const Problem<T>& p, const BackwardScratch& s, const void* whole_x, const Arriving& arriving, std::int64_t b,
                int slot)
      : at(b * p.columns.block), n(p.columns.length(b)) {
    float* buffer = s.buffers + 3 * slot * p.columns.block;
    dx_buffer = buffer + p.columns.block;
    x = p.reals.read(whole_x, at, n, buffer);
    dy = p.reals.read(arriving.dy, at, n, dx_buffer);
    y = arriving.y != nullptr ? p.reals.read(arriving.y, at, n, buffer + 2 * p.columns.block) : nullptr;
  }
};

/// See math::BatchNormGradient.
template <typename T>
void run_backward(const Problem<T>& p, const KernelArguments& arguments) {
  const Columns& columns = p.columns;
  const BackwardScratch s(p, arguments.scratch);
  const float *gamma = input<float>(arguments, 1), *mean = input<float>(arguments, 2),
              *inverse = input<float>(arguments, 3);
  const void* x = input<void>(arguments, 0);
  const Arriving given{input<void>(arguments, 4), arguments.inputs.size() > 5 ? input<void>(arguments, 5) : nullptr};
  void* masked = p.attributes.residual ? output<void>(arguments, 3) : nullptr;
  columns.spread(mean, s.mean_columns);
  parallel_for_slots(p.threads, columns.blocks(), [&](std::int64_t b, int slot) {
    const BackwardBlock<T> block(p, s, x, given, b, slot);
    const std::int64_t part = b * columns.period;
    p.kernels().normalise_sums(block.x, s.mean_columns, block.dy, block.y,
                                     masked == nullptr ? nullptr : p.reals.place(masked, block.at, block.dx_buffer),
                                     s.sums + part, s.products + part, block.n, columns.period);
    if (masked != nullptr) p.reals.put(masked, block.at, block.n, block.dx_buffer);
  });
  columns.fold(s.sums, s.dbeta);
  columns.fold(s.products, s.centred);
  void* dx = output<void>(arguments, 0);
  float *dgamma = output<float>(arguments, 1), *dbeta = output<float>(arguments, 2);
  const auto m = static_cast<double>(columns.rows());
  for (std::int64_t c = 0; c < columns.channels; ++c) {
    const math::BatchNormGradient g = math::batch_norm_gradient(s.dbeta[c], s.centred[c], m, inverse[c], gamma[c]);
    if (dgamma != nullptr) dgamma[c] = g.dgamma;
    if (dbeta != nullptr) dbeta[c] = g.dbeta;
    s.a[c] = g.a;
    s.b[c] = g.b;
    s.c[c] = g.c;
  }
  if (dx == nullptr) return;
  columns.spread(s.a, s.a_columns);
  columns.spread(s.b, s.b_columns);
  columns.spread(s.c, s.c_columns);
  // dy and y are not read again where their masked product lies in memory: it may have taken the place of either.
  const Arriving arriving = masked == nullptr ? given : Arriving{masked, nullptr};
  parallel_for_slots(p.threads, columns.blocks(), [&](std::int64_t b, int slot) {
    const BackwardBlock<T> block(p, s, x, arriving, b, slot);
    p.kernels().normalise_backward(block.x, s.mean_columns, block.dy, block.y, s.a_columns, s.b_columns, s.c_columns,
                                         p.reals.place(dx, block.at, block.dx_buffer), block.n, columns.period);
    p.reals.put(dx, block.at, block.n, block.dx_buffer);
  });
}

/// x, mean, inverse_deviation, dy -> dgamma, dbeta of this micro-batch.
template <typename T>
void run_global_sums(const Problem<T>& p, const KernelArguments& arguments) {
  const Columns& columns = p.columns;
  const BackwardScratch s(p, arguments.scratch);
  const float* inverse = input<float>(arguments, 2);
  columns.spread(input<float>(arguments, 1), s.mean_columns);
  parallel_for_slots(p.threads, columns.blocks(), [&](std::int64_t b, int slot) {
    const std::int64_t at = b * columns.block, n = columns.length(b), part = b * columns.period;
    float* buffer = s.buffers + 3 * slot * columns.block;
    p.kernels().normalise_sums(p.reals.read(input<void>(arguments, 0), at, n, buffer), s.mean_columns,
                                     p.reals.read(input<void>(arguments, 3), at, n, buffer + columns.block), nullptr, nullptr,
                                     s.sums + part, s.products + part, n, columns.period);
  });
  columns.fold(s.sums, s.dbeta);
  columns.fold(s.products, s.centred);
  float* sums = output<float>(arguments, 0);
  for (std::int64_t c = 0; c < columns.channels; ++c) {
    sums[c] = static_cast<float>(s.centred[c] * static_cast<double>(inverse[c]));
    sums[columns.channels + c] = static_cast<float>(s.dbeta[c]);
  }
}

template <typename T>
void run_global_backward(const Problem<T>& p, double parts, const KernelArguments& arguments) {
  const Columns& columns = p.columns;
  const BackwardScratch s(p, arguments.scratch);
  const float *gamma = input<float>(arguments, 1), *inverse = input<float>(arguments, 3), *sums = input<float>(arguments, 4);
  const double count = parts * static_cast<double>(columns.rows());
  for (std::int64_t c = 0; c < columns.channels; ++c) {
    const math::BatchNormGradient g =
        math::global_batch_norm_gradient(sums[c], sums[columns.channels + c], count, inverse[c], gamma[c]);
    s.a[c] = g.a;
    s.b[c] = g.b;
    s.c[c] = g.c;
  }
  columns.spread(input<float>(arguments, 2), s.mean_columns);
  columns.spread(s.a, s.a_columns);
  columns.spread(s.b, s.b_columns);
  columns.spread(s.c, s.c_columns);
  void* dx = output<void>(arguments, 0);
  parallel_for_slots(p.threads, columns.blocks(), [&](std::int64_t b, int slot) {
    const std::int64_t at = b * columns.block, n = columns.length(b);
    float *buffer = s.buffers + 3 * slot * columns.block, *dx_buffer = buffer + columns.block;
    p.kernels().normalise_backward(p.reals.read(input<void>(arguments, 0), at, n, buffer), s.mean_columns,
                                         p.reals.read(input<void>(arguments, 5), at, n, dx_buffer), nullptr, s.a_columns,
                                         s.b_columns, s.c_columns, p.reals.place(dx, at, dx_buffer), n, columns.period);
    p.reals.put(dx, at, n, dx_buffer);
  });
}

template <typename T>
Problem<T> problem_of(const OpDesc& op, int threads) {
  return {{op.inputs[0].shape.elements(), op.inputs[0].shape[-1]}, View<T>(op.inputs[0].dtype),
          std::get<BatchNormAttributes>(op.attributes), threads};
}

/// Of the ops over the whole batch; moments and sums have no attributes.
template <typename T>
Problem<T> global_problem_of(const OpDesc& op, int threads) {
  BatchNormAttributes attributes;
  if (const auto* global = std::get_if<GlobalBatchNormAttributes>(&op.attributes))
    attributes = {.epsilon = global->epsilon, .activation = global->activation};
  return {{op.inputs[0].shape.elements(), op.inputs[0].shape[-1]}, View<T>(op.inputs[0].dtype), attributes, threads};
}

double parts_of(const OpDesc& op) {
  return static_cast<double>(std::get<GlobalBatchNormAttributes>(op.attributes).micro_batches);
}

template <typename T>
InPlace forward_in_place(const Problem<T>& problem, int residual) {
  return problem.attributes.residual ? InPlace{{0, 0}, {residual, 0}} : InPlace{{0, 0}};
}

template <typename T>
InPlace backward_in_place(const Problem<T>& problem) {
  return problem.attributes.residual ? InPlace{{0, 0}, {4, 3}, {4, 0}, {5, 3}} : InPlace{{0, 0}, {4, 0}};
}

/// A kernel that calls run(problem, arguments) with Scratch(problem) to work in.
template <typename Scratch, typename T, typename Run>
Bound make(const Problem<T>& problem, InPlace in_place, Run run) {
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) { run(problem, arguments); },
                             .scratch_bytes = Scratch(problem, nullptr).bytes,
                             .in_place = std::move(in_place)});
}

/// make_kernel(problem) of the type that x has.
template <typename MakeKernel>
Bound for_type(const OpDesc& op, int threads, MakeKernel make_kernel) {
  if (op.inputs[0].dtype == DType::bf16) return make_kernel(problem_of<Bf16>(op, threads));
  return make_kernel(problem_of<float>(op, threads));
}
template <typename MakeKernel>
Bound for_type_global(const OpDesc& op, int threads, MakeKernel make_kernel) {
  if (op.inputs[0].dtype == DType::bf16) return make_kernel(global_problem_of<Bf16>(op, threads));
  return make_kernel(global_problem_of<float>(op, threads));
}

}  // namespace

Bound bind_batch_norm_moments(const OpDesc& op, int threads, std::string*) {
  return for_type_global(op, threads, [](const auto& problem) {
    return make<ForwardScratch>(problem, {}, [](const auto& p, const KernelArguments& arguments) { run_moments(p, arguments); });
  });
}

Bound bind_batch_norm_global(const OpDesc& op, int threads, std::string*) {
  return for_type_global(op, threads, [parts = parts_of(op)](const auto& problem) {
    return make<ForwardScratch>(problem, {{0, 0}},
                                [=](const auto& p, const KernelArguments& arguments) { run_global(p, parts, arguments); });
  });
}

Bound bind_batch_norm_global_sums(const OpDesc& op, int threads, std::string*) {
  return for_type_global(op, threads, [](const auto& problem) {
    return make<BackwardScratch>(problem, {},
                                 [](const auto& p, const KernelArguments& arguments) { run_global_sums(p, arguments); });
  });
}

Bound bind_batch_norm_global_backward(const OpDesc& op, int threads, std::string*) {
  return for_type_global(op, threads, [parts = parts_of(op)](const auto& problem) {
    return make<BackwardScratch>(problem, {{0, 0}, {5, 0}}, [=](const auto& p, const KernelArguments& arguments) {
      run_global_backward(p, parts, arguments);
    });
  });
}

Bound bind_batch_norm(const OpDesc& op, int threads, std::string*) {
  return for_type(op, threads, [](const auto& problem) {
    return make<ForwardScratch>(problem, forward_in_place(problem, 3),
                                [](const auto& p, const KernelArguments& arguments) { run_forward(p, arguments); });
  });
}

Bound bind_batch_norm_inference(const OpDesc& op, int threads, std::string*) {
  return for_type(op, threads, [](const auto& problem) {
    return make<ForwardScratch>(problem, forward_in_place(problem, 5),
                                [](const auto& p, const KernelArguments& arguments) { run_inference(p, arguments); });
  });
}

Bound bind_batch_norm_backward(const OpDesc& op, int threads, std::string*) {
  return for_type(op, threads, [](const auto& problem) {
    return make<BackwardScratch>(problem, backward_in_place(problem),
                                 [](const auto& p, const KernelArguments& arguments) { run_backward(p, arguments); });
  });
}

}  // namespace convoy::cpu
