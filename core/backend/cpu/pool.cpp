// Pooling: one image at a time through the vector code.
#include "core/backend/cpu/vector/pool.h"

#include <algorithm>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"

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

/// Images that a thread widens to floats: of both operands, one after the other.
struct ImageBuffers {
  Reals reals;
  std::int64_t x_image, y_image;

  std::int64_t x_step() const { return (x_image + 15) / 16 * 16; }
  std::int64_t step() const { return x_step() + (y_image + 15) / 16 * 16; }
  std::size_t bytes(int threads) const {
    return reals.narrow() ? static_cast<std::size_t>(threads * step()) * sizeof(float) : 0;
  }
  float* x(const KernelArguments& arguments, int slot) const { return static_cast<float*>(arguments.scratch) + slot * step(); }
  float* y(const KernelArguments& arguments, int slot) const { return x(arguments, slot) + x_step(); }
};

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
  const ImageBuffers buffers{Reals(op.inputs[0].dtype), x_image, y_image};
  const auto run = [=](const KernelArguments& arguments) {
    const bool winners = !average && arguments.outputs.size() > 1 && arguments.outputs[1] != nullptr;
    parallel_for_slots(threads, n, [&](std::int64_t i, int slot) {
      const float* from = buffers.reals.read(input<void>(arguments, 0), i * x_image, x_image, buffers.x(arguments, slot));
      float* buffer = buffers.y(arguments, slot);
      float* to = buffers.reals.place(output<void>(arguments, 0), i * y_image, buffer);
      const std::int64_t offset = i * y_image * (wide ? 4 : 1);
      if (average)
        k->average(g, from, to);
      else
        k->extreme(g, sign, from, to, winners ? output<std::byte>(arguments, 1) + offset : nullptr, wide);
      buffers.reals.put(output<void>(arguments, 0), i * y_image, y_image, buffer);
    });
  };
  return make_vector_kernel({.run = run, .scratch_bytes = buffers.bytes(threads)});
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
  const ImageBuffers buffers{Reals(op.inputs[0].dtype), x_image, y_image};
  const auto run = [=](const KernelArguments& arguments) {
    parallel_for_slots(threads, n, [&](std::int64_t i, int slot) {
      const float* dy = buffers.reals.read(input<void>(arguments, 0), i * y_image, y_image, buffers.y(arguments, slot));
      float* buffer = buffers.x(arguments, slot);
      float* dx = buffers.reals.place(output<void>(arguments, 0), i * x_image, buffer);
      std::fill_n(dx, x_image, 0.0f);
      if (average)
        k->average_backward(g, dy, dx);
      else
        k->extreme_backward(g, dy, input<std::byte>(arguments, 1) + i * y_image * (wide ? 4 : 1), wide, dx);
      buffers.reals.put(output<void>(arguments, 0), i * x_image, x_image, buffer);
    });
  };
  return make_vector_kernel({.run = run, .scratch_bytes = buffers.bytes(threads)});
}

}  // namespace convoy::cpu
