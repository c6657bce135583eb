#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

/// Position o of an axis reads pixel `low` with weight 1 - high_weight and `high` with high_weight.
struct Reads {
  std::int64_t low, high;
  double high_weight;
};

Reads reads_of(bool linear, std::int64_t s, std::int64_t t, std::int64_t o) {
  if (!linear) return {o * s / t, o * s / t, 0};
  const double at = (static_cast<double>(o) + 0.5) * static_cast<double>(s) / static_cast<double>(t) - 0.5;
  const double inside = std::clamp(at, 0.0, static_cast<double>(s - 1));
  const auto low = static_cast<std::int64_t>(std::floor(inside));
  return {low, std::min(low + 1, s - 1), inside - std::floor(inside)};
}

/// Calls visit(place in x, place in y, weight) for every reading, places counted in pixels; absent axes have extent 1.
template <typename Visit>
void for_readings(const ResampleAttributes& a, const Shape& x, const Shape& y, Visit visit) {
  std::array<std::int64_t, 3> s{1, 1, 1}, t{1, 1, 1};
  for (int axis = 0; axis < a.axes; ++axis) {
    s[static_cast<std::size_t>(3 - a.axes + axis)] = x[1 + axis];
    t[static_cast<std::size_t>(3 - a.axes + axis)] = y[1 + axis];
  }
  for (std::int64_t n = 0; n < x[0]; ++n)
    for (std::int64_t o0 = 0; o0 < t[0]; ++o0)
      for (std::int64_t o1 = 0; o1 < t[1]; ++o1)
        for (std::int64_t o2 = 0; o2 < t[2]; ++o2) {
          const std::array<Reads, 3> r{reads_of(a.linear, s[0], t[0], o0), reads_of(a.linear, s[1], t[1], o1),
                                       reads_of(a.linear, s[2], t[2], o2)};
          for (int corner = 0; corner < 8; ++corner) {
            std::int64_t from = n;
            double weight = 1;
            for (std::size_t axis = 0; axis < 3; ++axis) {
              const bool high = (corner >> axis & 1) != 0;
              from = from * s[axis] + (high ? r[axis].high : r[axis].low);
              weight *= high ? r[axis].high_weight : 1 - r[axis].high_weight;
            }
            if (weight != 0) visit(from, ((n * t[0] + o0) * t[1] + o1) * t[2] + o2, weight);
          }
        }
}

}  // namespace

/// y = sum over readings of weight x
void resample(const OpDesc& op, const KernelArguments& arguments) {
  const Shape &x = op.inputs[0].shape, &y = op.outputs[0].shape;
  const std::int64_t C = x[-1];
  std::fill_n(out(arguments, 0), y.elements(), 0.0);
  for_readings(attributes<ResampleAttributes>(op), x, y, [&](std::int64_t from, std::int64_t to, double weight) {
    for (std::int64_t c = 0; c < C; ++c) out(arguments, 0)[to * C + c] += weight * in(arguments, 0)[from * C + c];
  });
}

/// dx = sum over readings of weight dy
void resample_backward(const OpDesc& op, const KernelArguments& arguments) {
  const Shape &x = op.outputs[0].shape, &y = op.inputs[0].shape;
  const std::int64_t C = x[-1];
  std::fill_n(out(arguments, 0), x.elements(), 0.0);
  for_readings(attributes<ResampleAttributes>(op), x, y, [&](std::int64_t from, std::int64_t to, double weight) {
    for (std::int64_t c = 0; c < C; ++c) out(arguments, 0)[from * C + c] += weight * in(arguments, 0)[to * C + c];
  });
}

}  // namespace convoy::reference
