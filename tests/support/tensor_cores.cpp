#include "support/tensor_cores.h"

#include <cmath>

#include "core/tensor/narrow.h"

namespace convoy::test {
namespace {

bool multiplies_matrices(OpKind kind) {
  switch (kind) {
    case OpKind::conv:
    case OpKind::conv_backward_data:
    case OpKind::conv_backward_filters:
    case OpKind::dense:
    case OpKind::dense_backward_data:
    case OpKind::dense_backward_weights:
      return true;
    default:
      return false;
  }
}

/// To nearest, ties away from zero, as the hardware's conversion does; ties are rare among random numbers anyway.
double rounded_to_tf32(double value) {
  const std::uint32_t bits = bits_of(static_cast<float>(value));
  return static_cast<double>(float_of_bits((bits + 0x1000u) & 0xffffe000u));
}

}  // namespace

ParityCase for_tensor_cores(const ParityCase& c, bool tf32) {
  ParityCase changed = c;
  if (!multiplies_matrices(c.kind)) return changed;
  const double root = std::sqrt(c.length) + c.length / 4;
  changed.length = root * root;
  if (tf32)
    for (Tensor& input : changed.inputs) {
      if (input.dtype() != DType::f64) continue;
      input = input.clone();
      for (double& value : input.values<double>()) value = rounded_to_tf32(value);
    }
  return changed;
}

}  // namespace convoy::test
