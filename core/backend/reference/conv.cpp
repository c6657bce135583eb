// x [n, p, c], filters [o, k, c / groups], y [n, t, o]; p, t and k count spatial positions in scan order.
#include <algorithm>

#include "core/backend/reference/kernels.h"
#include "core/backend/reference/taps.h"

namespace convoy::reference {
namespace {

struct Extents {
  Window window;
  std::int64_t N, P, C, T, O, K;
  std::int64_t group_in, group_out;  // channels of one group

  Extents(const ConvAttributes& a, const Shape& x)
      : window(window_of(a, x)),
        N(x[0]),
        P(window.input_positions()),
        C(x[-1]),
        T(window.output_positions()),
        O(a.channels),
        K(window.taps()),
        group_in(C / a.groups),
        group_out(O / a.groups) {}

  std::int64_t x(std::int64_t n, std::int64_t p, std::int64_t o, std::int64_t c) const {
    return (n * P + p) * C + o / group_out * group_in + c;  // channel c of o's group
  }
  std::int64_t y(std::int64_t n, std::int64_t t, std::int64_t o) const { return (n * T + t) * O + o; }
  std::int64_t f(std::int64_t o, std::int64_t k, std::int64_t c) const { return (o * K + k) * group_in + c; }
};

}  // namespace

/// y[n, t, o] = bias[o] + sum over k, c: x[n, p(t, k), c] f[o, k, c]
void conv(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<ConvAttributes>(op);
  const Extents e(a, op.inputs[0].shape);
  const double *x = in(arguments, 0), *filters = in(arguments, 1), *bias = a.bias ? in(arguments, 2) : nullptr;
  double* y = out(arguments, 0);
  for (std::int64_t n = 0; n < e.N; ++n) {
    for (std::int64_t t = 0; t < e.T; ++t)
      for (std::int64_t o = 0; o < e.O; ++o) y[e.y(n, t, o)] = bias ? bias[o] : 0.0;
    for_each_tap(e.window, [&](std::int64_t t, std::int64_t k, std::int64_t p) {
      for (std::int64_t o = 0; o < e.O; ++o)
        for (std::int64_t c = 0; c < e.group_in; ++c)
          y[e.y(n, t, o)] += x[e.x(n, p, o, c)] * filters[e.f(o, k, c)];
    });
  }
  for (std::int64_t i = 0; i < e.N * e.T * e.O; ++i) y[i] = activate(a.activation, y[i]);
}

/// dx[n, p, c] = sum over (t, k) with p(t, k) = p, and o: dy[n, t, o] f[o, k, c]
void conv_backward_data(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<ConvBackwardAttributes>(op);
  const Extents e(a.conv, a.input);
  const double *dy = in(arguments, 0), *filters = in(arguments, 1);
  double* dx = out(arguments, 0);
  std::fill_n(dx, e.N * e.P * e.C, 0.0);
  for (std::int64_t n = 0; n < e.N; ++n)
    for_each_tap(e.window, [&](std::int64_t t, std::int64_t k, std::int64_t p) {
      for (std::int64_t o = 0; o < e.O; ++o)
        for (std::int64_t c = 0; c < e.group_in; ++c)
          dx[e.x(n, p, o, c)] += dy[e.y(n, t, o)] * filters[e.f(o, k, c)];
    });
}

/// df[o, k, c] = sum over n, t: dy[n, t, o] x[n, p(t, k), c];  dbias[o] = sum over n, t: dy[n, t, o]
void conv_backward_filters(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<ConvBackwardAttributes>(op);
  const Extents e(a.conv, a.input);
  const double *x = in(arguments, 0), *dy = in(arguments, 1);
  if (double* df = out(arguments, 0)) {
    std::fill_n(df, e.O * e.K * e.group_in, 0.0);
    for (std::int64_t n = 0; n < e.N; ++n)
      for_each_tap(e.window, [&](std::int64_t t, std::int64_t k, std::int64_t p) {
        for (std::int64_t o = 0; o < e.O; ++o)
          for (std::int64_t c = 0; c < e.group_in; ++c)
            df[e.f(o, k, c)] += dy[e.y(n, t, o)] * x[e.x(n, p, o, c)];
      });
  }
  if (double* dbias = a.conv.bias ? out(arguments, 1) : nullptr) {
    std::fill_n(dbias, e.O, 0.0);
    for (std::int64_t n = 0; n < e.N; ++n)
      for (std::int64_t t = 0; t < e.T; ++t)
        for (std::int64_t o = 0; o < e.O; ++o) dbias[o] += dy[e.y(n, t, o)];
  }
}

}  // namespace convoy::reference
