// Resampling, one sample at a time: positions in their order, pixels of a reading in theirs, so that the gradient's sums have
// one order too.
#include "core/ops/resample_math.h"

#include <algorithm>
#include <array>
#include <memory>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/vector/rows.h"

namespace convoy::cpu {
namespace {

/// The readings of all positions of three axes; missing ones come first, with extent 1.
struct Readings {
  std::array<std::int64_t, 3> in{1, 1, 1}, out{1, 1, 1};
  std::array<std::vector<math::Reading>, 3> at;

  Readings(const ResampleAttributes& a, const Shape& x, const Shape& y) {
    for (int axis = 0; axis < a.axes; ++axis) {
      in[static_cast<std::size_t>(3 - a.axes + axis)] = x[1 + axis];
      out[static_cast<std::size_t>(3 - a.axes + axis)] = y[1 + axis];
    }
    for (std::size_t axis = 0; axis < 3; ++axis)
      for (std::int64_t o = 0; o < out[axis]; ++o)
        at[axis].push_back(math::reading_of({in[axis], out[axis], a.linear}, o));
  }

  /// Calls visit(pixel of x, pixel of y, weight).
  template <typename Visit>
  void for_each(Visit visit) const {
    std::int64_t to = 0;
    for (const math::Reading& r0 : at[0])
      for (const math::Reading& r1 : at[1])
        for (const math::Reading& r2 : at[2]) {
          for (int corner = 0; corner < 8; ++corner) {
            const bool h0 = (corner & 1) != 0, h1 = (corner & 2) != 0, h2 = (corner & 4) != 0;
            const float weight = share(r0, h0) * share(r1, h1) * share(r2, h2);
            if (weight == 0) continue;
            visit((place(r0, h0) * in[1] + place(r1, h1)) * in[2] + place(r2, h2), to, weight);
          }
          ++to;
        }
  }

 private:
  static float share(const math::Reading& r, bool high) { return high ? r.high_weight : 1.0f - r.high_weight; }
  static std::int64_t place(const math::Reading& r, bool high) { return high ? r.high : r.low; }
};

void accumulate(float weight, const float* x, float* y, std::int64_t n) {
  (cpu_isa() == CpuIsa::avx512 ? avx512::row_kernels : avx2::row_kernels).accumulate(weight, x, y, n);
}

}  // namespace

Bound bind_resample(const OpDesc& op, int threads, std::string*) {
  const bool backward = op.kind == OpKind::resample_backward;
  const Shape &x = (backward ? op.outputs : op.inputs)[0].shape, &y = (backward ? op.inputs : op.outputs)[0].shape;
  const auto readings = std::make_shared<Readings>(std::get<ResampleAttributes>(op.attributes), x, y);
  const std::int64_t n = x[0], c = x[-1], x_image = x.elements(1, x.rank()), y_image = y.elements(1, y.rank());
  const auto run = [=](const KernelArguments& arguments) {
    parallel_for(threads, n, [&](std::int64_t i) {
      const float* from = input<float>(arguments, 0) + i * (backward ? y_image : x_image);
      float* to = output<float>(arguments, 0) + i * (backward ? x_image : y_image);
      std::fill_n(to, backward ? x_image : y_image, 0.0f);
      readings->for_each([&](std::int64_t pixel, std::int64_t position, float weight) {
        accumulate(weight, from + (backward ? position : pixel) * c, to + (backward ? pixel : position) * c, c);
      });
    });
  };
  return make_vector_kernel({.run = run});
}

}  // namespace convoy::cpu
