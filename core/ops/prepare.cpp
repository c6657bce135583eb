// prepare: crop with padding, mirror, normalise. Attributes: PrepareAttributes (attributes.h).
//   y[n, i.., c] = (stored[n, source(i).., c] - mean[c]) / deviation[c]
// No gradient: stored images are data. Cost: bytes only.
#include "core/ops/families.h"

namespace convoy::ops {

/// images [n, s.., c] (u8, u16, f32 or f64), transforms i32 [n, 4] -> [n, size.., c] of attributes.output.
Outputs infer_prepare(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "prepare";
  const auto& a = as<PrepareAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"images", "transforms"});
  require(a.axes >= 1 && a.axes <= 3, kOp, "works on 1 to 3 spatial axes, but {} were asked for", a.axes);
  const Shape& images = in[0].shape;
  require_rank(kOp, "images [n, s.., c]", images, a.axes + 2, a.axes + 2);
  const DType stored = in[0].dtype;
  require(stored == DType::u8 || stored == DType::u16 || stored == DType::f32 || stored == DType::f64, kOp,
          "reads images of uint8, uint16, float32 or float64, but these are {}", name_of(stored));
  require_type(kOp, "transforms", in[1], DType::i32);
  require_shape(kOp, "transforms", in[1].shape, {images[0], 4});
  require(is_floating(a.output), kOp, "writes real numbers, but {} was asked for", name_of(a.output));

  const auto channels = static_cast<std::size_t>(images[-1]);
  require(a.mean.size() == channels && a.deviation.size() == channels, kOp,
          "needs a mean and a deviation for each of the {} channels, but got {} means and {} deviations",
          channels, a.mean.size(), a.deviation.size());
  for (double deviation : a.deviation)
    require(deviation > 0, kOp, "divides by the deviation, which must be above 0 but is {}", deviation);

  Shape y = images;
  for (int axis = 0; axis < a.axes; ++axis) {
    const std::int64_t size = a.size[static_cast<std::size_t>(axis)];
    require(size >= 1, kOp, "the crop must have at least 1 pixel on axis {}, but size is {}", axis + 1, size);
    y = y.with(axis + 1, size);
  }
  return {{y, a.output}};
}

}  // namespace convoy::ops
