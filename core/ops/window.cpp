#include "core/ops/window.h"

#include "core/ops/check.h"
#include "core/ops/padding_math.h"

namespace convoy {
namespace {
using ops::require;

void require_spatial(std::string_view op, int axes, const Shape& x) {
  require(axes >= 1 && axes <= 3, op, "works on 1 to 3 spatial axes, but {} were asked for", axes);
  require(x.rank() == axes + 2, op, "with {} spatial axes x must be [n, {}.., c], but its shape is {}", axes,
          axes == 1 ? "s" : "s1", x.str());
  for (std::int64_t extent : x.extents())
    require(extent >= 1, op, "x must not be empty, but its shape is {}", x.str());
}

// Sums and products of two such numbers stay far from the ends of 64 bits.
constexpr std::int64_t kMost = (std::int64_t{1} << 31) - 1;

void require_positive(std::string_view op, std::string_view what, std::size_t axis, std::int64_t value) {
  require(value >= 1 && value <= kMost, op, "{} must be at least 1 and at most {}, but is {} on axis {}", what,
          kMost, value, axis + 1);
}

void require_padding(std::string_view op, PadMode mode, std::size_t axis, std::int64_t pad,
                     std::int64_t extent) {
  require(pad >= 0, op, "padding must not be negative, but is {} on axis {}; crop with a slice instead", pad,
          axis + 1);
  require(pad <= kMost, op, "padding must be at most {}, but is {} on axis {}", kMost, pad, axis + 1);
  if (mode == PadMode::reflect)
    require(pad <= extent - 1, op,
            "reflect padding mirrors at most extent - 1 = {} pixels of axis {}, but {} are asked for",
            extent - 1, axis + 1, pad);
  if (mode == PadMode::symmetric)
    require(pad <= extent, op,
            "symmetric padding mirrors at most the {} pixels of axis {}, but {} are asked for", extent,
            axis + 1, pad);
}

/// How many windows start on a padded axis (architectures: sections 2.1 and 2.3).
std::int64_t windows_on_axis(std::string_view op, const Window& w, std::size_t a, bool ceil) {
  const std::int64_t padded = w.input[a] + w.pad_low[a] + w.pad_high[a];
  const std::int64_t covered = w.dilation[a] * (w.kernel[a] - 1) + 1;
  require(
      covered <= padded, op,
      "on axis {} the kernel covers {} pixels, but the padded input has only {} ({} + {} low + {} high); use a "
      "smaller kernel or more padding",
      a + 1, covered, padded, w.input[a], w.pad_low[a], w.pad_high[a]);
  const std::int64_t rest = padded - covered;
  if (!ceil) return rest / w.stride[a] + 1;
  std::int64_t count = (rest + w.stride[a] - 1) / w.stride[a] + 1;
  if ((count - 1) * w.stride[a] >= w.input[a] + w.pad_low[a]) --count;
  return count;
}
}  // namespace

Window window_of(const ConvAttributes& attributes, const Shape& x, std::string_view op) {
  require_spatial(op, attributes.axes, x);
  Window w;
  w.pad_mode = attributes.pad_mode;
  for (std::size_t a = 0; a < static_cast<std::size_t>(attributes.axes); ++a) {
    require_positive(op, "kernel", a, attributes.kernel[a]);
    require_positive(op, "stride", a, attributes.stride[a]);
    require_positive(op, "dilation", a, attributes.dilation[a]);
    w.input[a] = x[static_cast<int>(a) + 1];
    require_padding(op, attributes.pad_mode, a, attributes.pad_low[a], w.input[a]);
    require_padding(op, attributes.pad_mode, a, attributes.pad_high[a], w.input[a]);
    w.kernel[a] = attributes.kernel[a];
    w.stride[a] = attributes.stride[a];
    w.dilation[a] = attributes.dilation[a];
    w.pad_low[a] = attributes.pad_low[a];
    w.pad_high[a] = attributes.pad_high[a];
    w.output[a] = windows_on_axis(op, w, a, false);
  }
  return w;
}

Window window_of(const PoolAttributes& attributes, const Shape& x, std::string_view op) {
  require_spatial(op, attributes.axes, x);
  Window w;
  for (std::size_t a = 0; a < static_cast<std::size_t>(attributes.axes); ++a) {
    w.input[a] = x[static_cast<int>(a) + 1];
    if (attributes.global) {
      w.kernel[a] = w.input[a];
      continue;
    }
    require_positive(op, "kernel", a, attributes.kernel[a]);
    require_positive(op, "stride", a, attributes.stride[a]);
    for (std::int64_t pad : {attributes.pad_low[a], attributes.pad_high[a]}) {
      require_padding(op, PadMode::zero, a, pad, w.input[a]);
      require(pad < attributes.kernel[a], op,
              "padding {} on axis {} is not below the kernel {}: a window would lie wholly in the padding", pad,
              a + 1, attributes.kernel[a]);
    }
    w.kernel[a] = attributes.kernel[a];
    w.stride[a] = attributes.stride[a];
    w.pad_low[a] = attributes.pad_low[a];
    w.pad_high[a] = attributes.pad_high[a];
    w.output[a] = windows_on_axis(op, w, a, attributes.ceil);
  }
  return w;
}

Shape window_output(const Window& window, int axes, std::int64_t n, std::int64_t channels) {
  std::array<std::int64_t, 5> extents{n};
  for (int a = 0; a < axes; ++a)
    extents[static_cast<std::size_t>(a) + 1] = window.output[static_cast<std::size_t>(a)];
  extents[static_cast<std::size_t>(axes) + 1] = channels;
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(axes) + 2));
}

std::int64_t source_index(std::int64_t index, std::int64_t extent, PadMode mode) {
  return padded_source(index, extent, mode);
}

}  // namespace convoy
