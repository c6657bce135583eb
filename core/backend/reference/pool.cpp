// x [n, p, c], y [n, t, c]; p and t count spatial positions in scan order, k those of a window.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/backend/reference/kernels.h"
#include "core/backend/reference/taps.h"

namespace convoy::reference {
namespace {

/// Positions that each window averages over: those inside the image, or inside image and padding.
std::vector<double> counts(const Window& w, bool count_padding) {
  std::vector<double> count(static_cast<std::size_t>(w.output_positions()), 0.0);
  Window counted = w;
  if (count_padding)  // the padded image as an image without padding
    for (std::size_t a = 0; a < 3; ++a) {
      counted.input[a] += w.pad_low[a] + w.pad_high[a];
      counted.pad_low[a] = counted.pad_high[a] = 0;
    }
  for_each_tap(counted,
               [&](std::int64_t t, std::int64_t, std::int64_t) { count[static_cast<std::size_t>(t)] += 1; });
  return count;
}

/// y[n, t, c] = (sum over k: x[n, p(t, k), c]) / count(t)
void average(const OpDesc& op, const KernelArguments& arguments, const Window& w) {
  const std::int64_t N = op.inputs[0].shape[0], C = op.inputs[0].shape[-1];
  const std::int64_t P = w.input_positions(), T = w.output_positions();
  const std::vector<double> count = counts(w, attributes<PoolAttributes>(op).count_padding);
  const double* x = in(arguments, 0);
  double* y = out(arguments, 0);
  std::fill_n(y, N * T * C, 0.0);
  for (std::int64_t n = 0; n < N; ++n)
    for_each_tap(w, [&](std::int64_t t, std::int64_t, std::int64_t p) {
      for (std::int64_t c = 0; c < C; ++c) y[(n * T + t) * C + c] += x[(n * P + p) * C + c];
    });
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t t = 0; t < T; ++t)
      for (std::int64_t c = 0; c < C; ++c) y[(n * T + t) * C + c] /= count[static_cast<std::size_t>(t)];
}

/// y[n, t, c] = extreme over k of x[n, p(t, k), c]; winner: the first k that has it.
template <typename Position>
void extreme(const OpDesc& op, const KernelArguments& arguments, const Window& w) {
  const std::int64_t N = op.inputs[0].shape[0], C = op.inputs[0].shape[-1];
  const std::int64_t P = w.input_positions(), T = w.output_positions();
  const bool largest = attributes<PoolAttributes>(op).kind == PoolKind::max;
  const double* x = in(arguments, 0);
  std::vector<double> best(static_cast<std::size_t>(N * T * C));
  std::vector<std::int64_t> winner(best.size(), -1);  // -1: no pixel seen yet
  for (std::int64_t n = 0; n < N; ++n)
    for_each_tap(w, [&](std::int64_t t, std::int64_t k, std::int64_t p) {
      for (std::int64_t c = 0; c < C; ++c) {
        const double value = x[(n * P + p) * C + c];
        const auto i = static_cast<std::size_t>((n * T + t) * C + c);
        const bool better = (largest ? value > best[i] : value < best[i]) || std::isnan(value);  // a NaN surfaces
        if (winner[i] >= 0 && !better) continue;
        best[i] = value;
        winner[i] = k;
      }
    });
  if (double* y = out(arguments, 0)) std::copy(best.begin(), best.end(), y);
  if (Position* positions = out<Position>(arguments, 1))
    std::transform(winner.begin(), winner.end(), positions,
                   [](std::int64_t k) { return static_cast<Position>(k); });
}

/// dx[n, p, c] = sum over (t, k) with p(t, k) = p and k = winner[n, t, c]: dy[n, t, c]
template <typename Position>
void extreme_backward(const OpDesc& op, const KernelArguments& arguments, const Window& w) {
  const Shape& shape = op.outputs[0].shape;
  const std::int64_t N = shape[0], C = shape[-1], P = w.input_positions(), T = w.output_positions();
  const double* dy = in(arguments, 0);
  const Position* winner = in<Position>(arguments, 1);
  double* dx = out(arguments, 0);
  for (std::int64_t n = 0; n < N; ++n)
    for_each_tap(w, [&](std::int64_t t, std::int64_t k, std::int64_t p) {
      for (std::int64_t c = 0; c < C; ++c)
        if (winner[(n * T + t) * C + c] == k) dx[(n * P + p) * C + c] += dy[(n * T + t) * C + c];
    });
}

/// dx[n, p, c] = sum over (t, k) with p(t, k) = p: dy[n, t, c] / count(t)
void average_backward(const OpDesc& op, const KernelArguments& arguments, const Window& w) {
  const Shape& shape = op.outputs[0].shape;
  const std::int64_t N = shape[0], C = shape[-1], P = w.input_positions(), T = w.output_positions();
  const std::vector<double> count = counts(w, attributes<PoolAttributes>(op).count_padding);
  const double* dy = in(arguments, 0);
  double* dx = out(arguments, 0);
  for (std::int64_t n = 0; n < N; ++n)
    for_each_tap(w, [&](std::int64_t t, std::int64_t, std::int64_t p) {
      for (std::int64_t c = 0; c < C; ++c)
        dx[(n * P + p) * C + c] += dy[(n * T + t) * C + c] / count[static_cast<std::size_t>(t)];
    });
}

}  // namespace

void pool(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<PoolAttributes>(op);
  const Window w = window_of(a, op.inputs[0].shape);
  if (a.kind == PoolKind::average) return average(op, arguments, w);
  if (op.outputs[1].dtype == DType::u8) return extreme<std::uint8_t>(op, arguments, w);
  extreme<std::int32_t>(op, arguments, w);
}

void pool_backward(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<PoolAttributes>(op);
  const Window w = window_of(a, a.input);
  std::fill_n(out(arguments, 0), a.input.elements(), 0.0);
  if (a.kind == PoolKind::average) return average_backward(op, arguments, w);
  if (op.inputs[1].dtype == DType::u8) return extreme_backward<std::uint8_t>(op, arguments, w);
  extreme_backward<std::int32_t>(op, arguments, w);
}

}  // namespace convoy::reference
