// Pooling: one image at a time through the vector code.
#include "core/backend/cpu/vector/pool.h"

#include <algorithm>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"

namespace convoy::cpu {
namespace {

const PoolKernels& kernels() { return cpu_isa() == CpuIsa::avx512 ? avx512::pool_kernels : avx2::pool_kernels; }

PoolGeometry geometry_of(const PoolAttributes& pool, const Shape& x, const Shape& y) {
  PoolGeometry g;
  g.channels = x[-1];
  g.count_padding = pool.count_padding && !pool.global;
  for (int a = 0; a < pool.axes; ++a) {
    const int at = 3 - pool.axes + a;  // missing axes come first: the last one is the row
    g.in[at] = x[1 + a];
    g.out[at] = y[1 + a];
    if (pool.global) {
      g.kernel[at] = g.stride[at] = g.in[at];
      continue;
    }
    const auto i = static_cast<std::size_t>(a);
    g.kernel[at] = pool.kernel[i];
    g.stride[at] = pool.stride[i];
    g.pad_low[at] = pool.pad_low[i];
    g.pad_high[at] = pool.pad_high[i];
  }
  return g;
}

float sign_of(PoolKind kind) { return kind == PoolKind::min ? -1.0f : 1.0f; }

}  // namespace

Bound bind_pool(const OpDesc& op, int threads, std::string*) {
  const auto& pool = std::get<PoolAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const Shape& y = op.outputs[0].shape;
  const PoolGeometry g = geometry_of(pool, x, y);
  const std::int64_t n = x[0], x_image = x.elements(1, x.rank()), y_image = y.elements(1, y.rank());
  const bool wide = op.outputs.size() > 1 && op.outputs[1].dtype == DType::i32;
  const bool average = pool.kind == PoolKind::average;
  const float sign = sign_of(pool.kind);
  const PoolKernels* k = &kernels();
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    const bool winners = !average && arguments.outputs.size() > 1 && arguments.outputs[1] != nullptr;
    parallel_for(threads, n, [&](std::int64_t i) {
      const float* from = input<float>(arguments, 0) + i * x_image;
      float* to = output<float>(arguments, 0) + i * y_image;
      if (average) return k->average(g, from, to);
      const std::int64_t offset = i * y_image * (wide ? 4 : 1);
      k->extreme(g, sign, from, to, winners ? output<std::byte>(arguments, 1) + offset : nullptr, wide);
    });
  }});
}

Bound bind_pool_backward(const OpDesc& op, int threads, std::string*) {
  const auto& pool = std::get<PoolAttributes>(op.attributes);
  const Shape& x = pool.input;
  const Shape& y = op.inputs[0].shape;
  const PoolGeometry g = geometry_of(pool, x, y);
  const std::int64_t n = x[0], x_image = x.elements(1, x.rank()), y_image = y.elements(1, y.rank());
  const bool wide = op.inputs.size() > 1 && op.inputs[1].dtype == DType::i32;
  const bool average = pool.kind == PoolKind::average;
  const PoolKernels* k = &kernels();
  return make_vector_kernel({.run = [=](const KernelArguments& arguments) {
    parallel_for(threads, n, [&](std::int64_t i) {
      const float* dy = input<float>(arguments, 0) + i * y_image;
      float* dx = output<float>(arguments, 0) + i * x_image;
      std::fill_n(dx, x_image, 0.0f);
      if (average) return k->average_backward(g, dy, dx);
      k->extreme_backward(g, dy, input<std::byte>(arguments, 1) + i * y_image * (wide ? 4 : 1), wide, dx);
    });
  }});
}

}  // namespace convoy::cpu
