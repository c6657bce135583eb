#include "core/backend/cpu/vector/update.h"

#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

void sgd(const math::UpdateStep& step, float* w, float* v, float*, const float* gradient, i64 n) {
  const math::UpdateStep s = step;
#pragma omp simd
  for (i64 i = 0; i < n; ++i) w[i] = math::sgd(s, w[i], v[i], gradient[i]);
}

void rmsprop(const math::UpdateStep& step, float* w, float* squares, float* v, const float* gradient, i64 n) {
  const math::UpdateStep s = step;
#pragma omp simd
  for (i64 i = 0; i < n; ++i) w[i] = math::rmsprop(s, w[i], squares[i], v[i], gradient[i]);
}

void adam(const math::UpdateStep& step, float* w, float* m, float* squares, const float* gradient, i64 n) {
  const math::UpdateStep s = step;
#pragma omp simd
  for (i64 i = 0; i < n; ++i) w[i] = math::adam(s, w[i], m[i], squares[i], gradient[i]);
}

void adagrad(const math::UpdateStep& step, float* w, float* squares, float*, const float* gradient, i64 n) {
  const math::UpdateStep s = step;
#pragma omp simd
  for (i64 i = 0; i < n; ++i) w[i] = math::adagrad(s, w[i], squares[i], gradient[i]);
}

double block_norm(const float* x, i64 n) {
  double lanes[math::kNormLanes] = {};
  i64 i = 0;
  for (; i + math::kNormLanes <= n; i += math::kNormLanes)
#pragma omp simd
    for (int lane = 0; lane < math::kNormLanes; ++lane) {
      const double value = static_cast<double>(x[i + lane]);
      lanes[lane] += value * value;
    }
  for (int lane = 0; i + lane < n; ++lane) {
    const double value = static_cast<double>(x[i + lane]);
    lanes[lane] += value * value;
  }
  return math::fold_tree(lanes, math::kNormLanes);
}

}  // namespace

const UpdateKernels update_kernels = {.sgd = sgd, .rmsprop = rmsprop, .adam = adam, .adagrad = adagrad, .block_norm = block_norm};

}  // namespace convoy::cpu::CONVOY_ISA
