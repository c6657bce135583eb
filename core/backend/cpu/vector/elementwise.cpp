#include "core/backend/cpu/vector/elementwise.h"

#include "core/backend/cpu/vector/simd.h"

namespace convoy::cpu::CONVOY_ISA {
namespace {

template <typename F>
CONVOY_INLINE void map(const float* x, float* y, i64 n, F f) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) y[i] = f(x[i]);
}

template <typename F>
CONVOY_INLINE void map(const float* a, const float* b, float* y, i64 n, F f) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
}

void copy(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return v; });
}
void relu(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return math::relu(v); });
}
void tanh(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return math::tanh(v); });
}
void sigmoid(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return math::sigmoid(v); });
}
void scaled_tanh(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return math::scaled_tanh(v); });
}
void leaky_relu(const float* x, float slope, float* y, i64 n) {
  map(x, y, n, [=](float v) { return math::leaky_relu(v, slope); });
}
void elu(const float* x, float slope, float* y, i64 n) {
  map(x, y, n, [=](float v) { return math::elu(v, slope); });
}
void negative_part(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return math::negative_part(v); });
}
void complement(const float* x, float, float* y, i64 n) {
  map(x, y, n, [](float v) { return 1.0f - v; });
}
void scale(const float* x, float slope, float* y, i64 n) {
  map(x, y, n, [=](float v) { return slope * v; });
}

void copy_backward(const float*, const float* dy, float, float* dx, i64 n) { copy(dy, 0, dx, n); }
void relu_backward(const float* y, const float* dy, float, float* dx, i64 n) {
  map(y, dy, dx, n, [](float v, float d) { return math::relu_backward(v, d); });
}
void tanh_backward(const float* y, const float* dy, float, float* dx, i64 n) {
  map(y, dy, dx, n, [](float v, float d) { return math::tanh_backward(v, d); });
}
void sigmoid_backward(const float* y, const float* dy, float, float* dx, i64 n) {
  map(y, dy, dx, n, [](float v, float d) { return math::sigmoid_backward(v, d); });
}
void scaled_tanh_backward(const float* y, const float* dy, float, float* dx, i64 n) {
  map(y, dy, dx, n, [](float v, float d) { return math::scaled_tanh_backward(v, d); });
}
void leaky_relu_backward(const float* y, const float* dy, float slope, float* dx, i64 n) {
  map(y, dy, dx, n, [=](float v, float d) { return math::leaky_relu_backward(v, d, slope); });
}
void elu_backward(const float* y, const float* dy, float slope, float* dx, i64 n) {
  map(y, dy, dx, n, [=](float v, float d) { return math::elu_backward(v, d, slope); });
}
void negative_part_backward(const float* y, const float* dy, float, float* dx, i64 n) {
  map(y, dy, dx, n, [](float v, float d) { return math::negative_part_backward(v, d); });
}
void complement_backward(const float*, const float* dy, float, float* dx, i64 n) {
  map(dy, dx, n, [](float d) { return -d; });
}
void scale_backward(const float*, const float* dy, float slope, float* dx, i64 n) { scale(dy, slope, dx, n); }

void add(const float* a, const float* b, float* y, i64 n) {
  map(a, b, y, n, [](float u, float v) { return u + v; });
}
void multiply(const float* a, const float* b, float* y, i64 n) {
  map(a, b, y, n, [](float u, float v) { return u * v; });
}

void blend(float keep, float factor, float* running, const float* statistic, i64 n) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) running[i] = math::blend(keep, factor, running[i], statistic[i]);
}

void keep_above(const std::uint32_t* words, std::uint32_t threshold, float scale, const float* x, float* y,
                i64 n) {
#pragma omp simd
  for (i64 i = 0; i < n; ++i) y[i] = math::keep_above(words[i], threshold, scale, x[i]);
}

}  // namespace

const ElementwiseKernels elementwise_kernels = {
    .activation = {copy, relu, tanh, sigmoid, scaled_tanh, leaky_relu, elu, negative_part, complement, scale},
    .activation_backward = {copy_backward, relu_backward, tanh_backward, sigmoid_backward, scaled_tanh_backward,
                            leaky_relu_backward, elu_backward, negative_part_backward, complement_backward, scale_backward},
    .add = add,
    .multiply = multiply,
    .blend = blend,
    .keep_above = keep_above,
};

}  // namespace convoy::cpu::CONVOY_ISA
