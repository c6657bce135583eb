#include "core/backend/cpu/channel_columns.h"

#include <algorithm>
#include <numeric>

#include "core/backend/cpu/isa.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kMinPeriod = 64;  // four AVX-512 vectors
constexpr std::int64_t kBlockElements =
    4096;                                   // 16 KiB: a block stays in the first cache between two looks at it
constexpr std::int64_t kMinBlockRows = 32;  // or the sums of blocks would be as many as the elements

std::int64_t period_for(std::int64_t channels) {
  if (channels >= kMinPeriod) return channels;
  const std::int64_t step = std::lcm<std::int64_t>(channels, 16);
  return (kMinPeriod + step - 1) / step * step;
}

}  // namespace

const ChannelKernels& channel_kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::channel_kernels : avx2::channel_kernels;
}

Columns::Columns(std::int64_t elements_, std::int64_t channels_)
    : elements(elements_), channels(channels_), period(period_for(channels_)) {
  block = period * std::max(kMinBlockRows, kBlockElements / period);
}

std::int64_t Columns::length(std::int64_t b) const { return std::min(block, elements - b * block); }

void Columns::spread(const float* per_channel, float* per_column) const {
  for (std::int64_t first = 0; first < period; first += channels)
    std::copy_n(per_channel, channels, per_column + first);
}

void Columns::fold(const float* parts, double* per_channel) const {
  std::fill_n(per_channel, channels, 0.0);
  for (std::int64_t b = 0; b < blocks(); ++b)
    for (std::int64_t first = 0; first < period; first += channels)
      for (std::int64_t c = 0; c < channels; ++c)
        per_channel[c] += static_cast<double>(parts[b * period + first + c]);
}

}  // namespace convoy::cpu
