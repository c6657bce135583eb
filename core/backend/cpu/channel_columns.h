#pragma once
// A tensor [.., c] as a flat array cut into columns (vector/channels.h), and sums over columns that do not
// depend on the number of threads: fixed blocks in single precision, their sum in double.
#include <cstdint>
#include <functional>

#include "core/backend/cpu/vector/channels.h"

namespace convoy::cpu {

const ChannelKernels& channel_kernels();

struct Columns {
  std::int64_t elements = 0, channels = 1, period = 1, block = 1;  // block: elements, whole periods

  Columns(std::int64_t elements_, std::int64_t channels_);
  std::int64_t blocks() const { return (elements + block - 1) / block; }
  std::int64_t length(std::int64_t b) const;
  /// Positions of channel c in [0, elements).
  std::int64_t rows() const { return elements / channels; }

  /// Repeats per-channel values over the columns of a period.
  void spread(const float* per_channel, float* per_column) const;
  /// per_channel[c] = sum of parts [blocks, period] over blocks and the columns of c, in that order, in double.
  void fold(const float* parts, double* per_channel) const;
};

}  // namespace convoy::cpu
