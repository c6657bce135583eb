#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

/// y[n, i.., c] = (stored[n, offset + j.., c] - mean[c]) / deviation[c], where j = i, or size - 1 - i on a
/// mirrored axis; pad_value stands for the stored value outside the image.
template <typename T>
void prepare_from(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<PrepareAttributes>(op);
  const T* images = in<T>(arguments, 0);                            // [n, s0, s1, s2, c]
  const std::int32_t* transforms = in<std::int32_t>(arguments, 1);  // [n, 4]
  double* y = out(arguments, 0);                                    // [n, size0, size1, size2, c]
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], C = shape[-1];
  PerAxis s{1, 1, 1}, size{1, 1, 1};
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(a.axes); ++axis) {
    s[axis] = shape[static_cast<int>(axis) + 1];
    size[axis] = a.size[axis];
  }
  for (std::int64_t n = 0; n < N; ++n) {
    const std::int32_t* transform = transforms + 4 * n;
    const auto source = [&](std::size_t axis, std::int64_t i) {
      if (static_cast<int>(axis) >= a.axes) return i;
      const bool mirrored = (transform[3] >> axis) & 1;
      return transform[axis] + (mirrored ? size[axis] - 1 - i : i);
    };
    for (std::int64_t i0 = 0; i0 < size[0]; ++i0)
      for (std::int64_t i1 = 0; i1 < size[1]; ++i1)
        for (std::int64_t i2 = 0; i2 < size[2]; ++i2) {
          const std::int64_t p0 = source(0, i0), p1 = source(1, i1), p2 = source(2, i2);
          const bool inside = p0 >= 0 && p0 < s[0] && p1 >= 0 && p1 < s[1] && p2 >= 0 && p2 < s[2];
          for (std::int64_t c = 0; c < C; ++c) {
            const double stored =
                inside ? static_cast<double>(images[(((n * s[0] + p0) * s[1] + p1) * s[2] + p2) * C + c])
                       : a.pad_value;
            const auto channel = static_cast<std::size_t>(c);
            *y++ = (stored - a.mean[channel]) / a.deviation[channel];
          }
        }
  }
}

}  // namespace

void prepare(const OpDesc& op, const KernelArguments& arguments) {
  switch (op.inputs[0].dtype) {
    case DType::u8:
      return prepare_from<std::uint8_t>(op, arguments);
    case DType::u16:
      return prepare_from<std::uint16_t>(op, arguments);
    case DType::f32:
      return prepare_from<float>(op, arguments);
    default:
      return prepare_from<double>(op, arguments);  // infer admits no other type
  }
}

}  // namespace convoy::reference
