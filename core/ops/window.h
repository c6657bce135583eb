#pragma once
// Windows that slide over 1 to 3 spatial axes: what convolution and pooling have in common, for their shapes
// and for the backends' kernels.
#include <cstdint>
#include <string_view>

#include "core/ops/attributes.h"

namespace convoy {

/// Always three axes: those beyond the op's own have extent 1, kernel 1, stride 1 and no padding.
struct Window {
  PerAxis input{1, 1, 1};   // extents s of x
  PerAxis output{1, 1, 1};  // extents t of y
  PerAxis kernel{1, 1, 1};
  PerAxis stride{1, 1, 1};
  PerAxis dilation{1, 1, 1};
  PerAxis pad_low{};
  PerAxis pad_high{};
  PadMode pad_mode = PadMode::zero;

  std::int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  std::int64_t output_positions() const { return output[0] * output[1] * output[2]; }
  std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
};

/// The windows of a convolution or a pooling over x [n, s.., c]. `op` names the op in the UsageError that every
/// misfit throws: rank, stride 0, kernel bigger than the padded input, padding beyond what the mode can mirror,
/// ...
Window window_of(const ConvAttributes& attributes, const Shape& x, std::string_view op = "conv");
Window window_of(const PoolAttributes& attributes, const Shape& x, std::string_view op = "pool");

/// [n, t.., channels] of the windows over an x of n samples.
Shape window_output(const Window& window, int axes, std::int64_t n, std::int64_t channels);

/// The pixel that a padded axis shows at `index` (negative or beyond the extent: in the padding);
/// -1 where a zero stands.
std::int64_t source_index(std::int64_t index, std::int64_t extent, PadMode mode);

}  // namespace convoy
