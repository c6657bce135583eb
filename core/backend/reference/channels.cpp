// Every value seen as [m, channels].
#include <algorithm>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {

/// The channels of all inputs side by side.
void concat(const OpDesc& op, const KernelArguments& arguments) {
  const std::int64_t M = positions(op.outputs[0].shape), C = op.outputs[0].shape[-1];
  double* y = out(arguments, 0);
  std::int64_t begin = 0;
  for (std::size_t part = 0; part < op.inputs.size(); ++part) {
    const std::int64_t count = op.inputs[part].shape[-1];
    for (std::int64_t m = 0; m < M; ++m)
      for (std::int64_t c = 0; c < count; ++c) y[m * C + begin + c] = in(arguments, part)[m * count + c];
    begin += count;
  }
}

/// y[m, c] = x[m, begin + c] for c < count
void slice(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<ChannelsAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  double* y = out(arguments, 0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < a.count; ++c) y[m * a.count + c] = in(arguments, 0)[m * C + a.begin + c];
}

/// y[m, begin + c] = x[m, c], zero elsewhere
void pad_channels(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<ChannelsAttributes>(op);
  const std::int64_t M = positions(op.inputs[0].shape), C = op.inputs[0].shape[-1];
  double* y = out(arguments, 0);
  std::fill_n(y, M * a.count, 0.0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t c = 0; c < C; ++c) y[m * a.count + a.begin + c] = in(arguments, 0)[m * C + c];
}

}  // namespace convoy::reference
