// Batch normalisation (Ioffe & Szegedy 2015, algorithm 1). The moments are taken block by block, each block
// around its own mean while it lies in the first cache, and joined in double (Chan et al. 1983): one pass over
// memory with the accuracy of two.
#include "core/backend/cpu/channel_columns.h"
#include "core/backend/cpu/kernels.h"
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

struct Moments {
  double* mean;     // [c]
  double* squares;  // [c]: sum of squared differences from the mean
};

struct ForwardScratch {
  float *sums, *squares, *means;                        // [blocks, period]
  float *mean_columns, *scale_columns, *shift_columns;  // [period]
  float *scale, *rounded_mean;                          // [c]
  Moments moments;
  std::size_t bytes;

  ForwardScratch(const Columns& columns, void* base) {
    Carver carver(base);
    const std::int64_t parts = columns.blocks() * columns.period;
    for (float** p : {&sums, &squares, &means}) *p = carver.take<float>(parts);
    for (float** p : {&mean_columns, &scale_columns, &shift_columns}) *p = carver.take<float>(columns.period);
    for (float** p : {&scale, &rounded_mean}) *p = carver.take<float>(columns.channels);
    for (double** p : {&moments.mean, &moments.squares}) *p = carver.take<double>(columns.channels);
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

void normalise(const Columns& columns, const ForwardScratch& s, const float* x, bool relu, int threads,
               float* y) {
  parallel_for(threads, columns.blocks(), [&](std::int64_t b) {
    channel_kernels().normalise(x + b * columns.block, s.mean_columns, s.scale_columns, s.shift_columns, relu,
                                y + b * columns.block, columns.length(b), columns.period);
  });
}

void run_forward(const Columns& columns, const BatchNormAttributes& attributes, int threads,
                 const KernelArguments& arguments) {
  const ForwardScratch s(columns, arguments.scratch);
  const float* x = input<float>(arguments, 0);
  const float* gamma = input<float>(arguments, 1);
  parallel_for(threads, columns.blocks(), [&](std::int64_t b) {
    const std::int64_t at = b * columns.period;
    channel_kernels().moments(x + b * columns.block, s.sums + at, s.squares + at, s.means + at,
                              columns.length(b), columns.period);
  });
  join_moments(columns, s);
  float* mean = output<float>(arguments, 1);
  float* inverse_deviation = output<float>(arguments, 2);
  float* variance = output<float>(arguments, 3);
  const auto m = static_cast<double>(columns.rows());
  for (std::int64_t c = 0; c < columns.channels; ++c) {
    const math::BatchNorm norm =
        math::batch_norm(s.moments.mean[c], s.moments.squares[c], m, attributes.epsilon, gamma[c]);
    s.rounded_mean[c] = norm.mean;
    s.scale[c] = norm.scale;
    if (mean != nullptr) mean[c] = norm.mean;
    if (inverse_deviation != nullptr) inverse_deviation[c] = norm.inverse_deviation;
    if (variance != nullptr) variance[c] = norm.variance;
  }
  columns.spread(s.rounded_mean, s.mean_columns);
  columns.spread(s.scale, s.scale_columns);
  columns.spread(input<float>(arguments, 2), s.shift_columns);
  normalise(columns, s, x, attributes.activation == ActivationKind::relu, threads, output<float>(arguments, 0));
}

void run_inference(const Columns& columns, const BatchNormAttributes& attributes, int threads,
                   const KernelArguments& arguments) {
  const ForwardScratch s(columns, arguments.scratch);
  const float* gamma = input<float>(arguments, 1);
  const float* variance = input<float>(arguments, 4);
  for (std::int64_t c = 0; c < columns.channels; ++c)
    s.scale[c] = math::batch_norm_scale(gamma[c], variance[c], attributes.epsilon);
  columns.spread(input<float>(arguments, 3), s.mean_columns);
  columns.spread(s.scale, s.scale_columns);
  columns.spread(input<float>(arguments, 2), s.shift_columns);
  normalise(columns, s, input<float>(arguments, 0), attributes.activation == ActivationKind::relu, threads,
            output<float>(arguments, 0));
}

struct BackwardScratch {
  float *sums, *products;                                   // [blocks, period]
  float *mean_columns, *a_columns, *b_columns, *c_columns;  // [period]
  float *a, *b, *c;                                         // [c]
  double *dbeta, *centred;                                  // [c]: sums of d, of d (x - mean)
  std::size_t bytes;

  BackwardScratch(const Columns& columns, void* base) {
    Carver carver(base);
    const std::int64_t parts = columns.blocks() * columns.period;
    for (float** p : {&sums, &products}) *p = carver.take<float>(parts);
    for (float** p : {&mean_columns, &a_columns, &b_columns, &c_columns})
      *p = carver.take<float>(columns.period);
    for (float** p : {&a, &b, &c}) *p = carver.take<float>(columns.channels);
    for (double** p : {&dbeta, &centred}) *p = carver.take<double>(columns.channels);
    bytes = carver.used();
  }
};

/// See math::BatchNormGradient.
void run_backward(const Columns& columns, bool relu, int threads, const KernelArguments& arguments) {
  const BackwardScratch s(columns, arguments.scratch);
  const float *x = input<float>(arguments, 0), *gamma = input<float>(arguments, 1),
              *mean = input<float>(arguments, 2), *inverse = input<float>(arguments, 3),
              *dy = input<float>(arguments, 4), *y = relu ? input<float>(arguments, 5) : nullptr;
  columns.spread(mean, s.mean_columns);
  const auto y_at = [&](std::int64_t at) { return y == nullptr ? nullptr : y + at; };
  parallel_for(threads, columns.blocks(), [&](std::int64_t b) {
    const std::int64_t at = b * columns.block, part = b * columns.period;
    channel_kernels().normalise_sums(x + at, s.mean_columns, dy + at, y_at(at), s.sums + part,
                                     s.products + part, columns.length(b), columns.period);
  });
  columns.fold(s.sums, s.dbeta);
  columns.fold(s.products, s.centred);
  float *dx = output<float>(arguments, 0), *dgamma = output<float>(arguments, 1),
        *dbeta = output<float>(arguments, 2);
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
  parallel_for(threads, columns.blocks(), [&](std::int64_t b) {
    const std::int64_t at = b * columns.block;
    channel_kernels().normalise_backward(x + at, s.mean_columns, dy + at, y_at(at), s.a_columns, s.b_columns,
                                         s.c_columns, dx + at, columns.length(b), columns.period);
  });
}

Columns columns_of(const OpDesc& op) { return {op.inputs[0].shape.elements(), op.inputs[0].shape[-1]}; }

}  // namespace

Bound bind_batch_norm(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<BatchNormAttributes>(op.attributes);
  const Columns columns = columns_of(op);
  return make_vector_kernel(
      {.run = [=](const KernelArguments& arguments) { run_forward(columns, attributes, threads, arguments); },
       .scratch_bytes = ForwardScratch(columns, nullptr).bytes,
       .in_place = {{0, 0}}});
}

Bound bind_batch_norm_inference(const OpDesc& op, int threads, std::string*) {
  const auto attributes = std::get<BatchNormAttributes>(op.attributes);
  const Columns columns = columns_of(op);
  return make_vector_kernel(
      {.run = [=](const KernelArguments& arguments) { run_inference(columns, attributes, threads, arguments); },
       .scratch_bytes = ForwardScratch(columns, nullptr).bytes,
       .in_place = {{0, 0}}});
}

Bound bind_batch_norm_backward(const OpDesc& op, int threads, std::string*) {
  const bool relu = op.inputs.size() > 5;
  const Columns columns = columns_of(op);
  return make_vector_kernel(
      {.run = [=](const KernelArguments& arguments) { run_backward(columns, relu, threads, arguments); },
       .scratch_bytes = BackwardScratch(columns, nullptr).bytes,
       .in_place = {{0, 0}, {4, 0}}});
}

}  // namespace convoy::cpu
