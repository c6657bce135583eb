// Values of one shape, or x [m, c] beside one number per channel c.
#include <algorithm>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {

/// y = x1 + x2 + .., from left to right
void add(const OpDesc& op, const KernelArguments& arguments) {
  double* y = out(arguments, 0);
  for (std::int64_t i = 0; i < op.outputs[0].shape.elements(); ++i) {
    double sum = in(arguments, 0)[i];
    for (std::size_t term = 1; term < op.inputs.size(); ++term) sum += in(arguments, term)[i];
    y[i] = sum;
  }
}

/// y = a b
void multiply(const OpDesc& op, const KernelArguments& arguments) {
  double* y = out(arguments, 0);
  for (std::int64_t i = 0; i < op.outputs[0].shape.elements(); ++i)
    y[i] = in(arguments, 0)[i] * in(arguments, 1)[i];
}

/// y[m, c] = x[m, c] + b[c]
void add_channels(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  double* y = out(arguments, 0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < C; ++c) y[m * C + c] = in(arguments, 0)[m * C + c] + in(arguments, 1)[c];
}

/// y[m, c] = x[m, c] g[c]
void multiply_channels(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  double* y = out(arguments, 0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < C; ++c) y[m * C + c] = in(arguments, 0)[m * C + c] * in(arguments, 1)[c];
}

/// s[c] = sum over m: x[m, c]
void sum_to_channels(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  double* sum = out(arguments, 0);
  std::fill_n(sum, C, 0.0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < C; ++c) sum[c] += in(arguments, 0)[m * C + c];
}

/// s[c] = sum over m: x[m, c] y[m, c]
void dot_to_channels(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  double* sum = out(arguments, 0);
  std::fill_n(sum, C, 0.0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < C; ++c) sum[c] += in(arguments, 0)[m * C + c] * in(arguments, 1)[m * C + c];
}

/// s = sum over n: w[n]
void sum_weights(const OpDesc& op, const KernelArguments& arguments) {
  double sum = 0;
  for (std::int64_t n = 0; n < op.inputs[0].shape[0]; ++n) sum += in(arguments, 0)[n];
  *out(arguments, 0) = sum;
}

/// Every real type is double here.
void cast(const OpDesc& op, const KernelArguments& arguments) {
  std::copy_n(in(arguments, 0), op.inputs[0].shape.elements(), out(arguments, 0));
}

}  // namespace convoy::reference
