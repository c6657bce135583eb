#include "io/tensor_elements.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace convoy {
namespace {

template <typename T>
T load(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof value);
  return value;
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// IEEE 754 binary16: 5 bits of exponent with bias 15, 10 of fraction.
float from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const auto fraction = static_cast<float>(bits & 1023);
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  if (exponent < 31) return sign * std::ldexp(1024 + fraction, exponent - 25);
  return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
}

/// Calls `use` with the element as a C++ number.
template <typename Use>
auto with_element(const std::byte* element, DType dtype, Use use) {
  switch (dtype) {
    case DType::u8: return use(load<std::uint8_t>(element));
    case DType::u16: return use(load<std::uint16_t>(element));
    case DType::i32: return use(load<std::int32_t>(element));
    case DType::u32: return use(load<std::uint32_t>(element));
    case DType::i64: return use(load<std::int64_t>(element));
    case DType::u64: return use(load<std::uint64_t>(element));
    case DType::f32: return use(load<float>(element));
    case DType::f64: return use(load<double>(element));
    case DType::bf16: return use(from_bf16(load<std::uint16_t>(element)));
    case DType::f16: break;
  }
  return use(from_half(load<std::uint16_t>(element)));
}

}  // namespace

double element_value(const std::byte* element, DType dtype) {
  return with_element(element, dtype, [](auto value) { return static_cast<double>(value); });
}

std::string element_text(const std::byte* element, DType dtype) {
  return with_element(element, dtype, [](auto value) { return fmt::format("{}", value); });
}

std::string index_text(std::int64_t element, const Shape& shape) {
  std::string text;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    text = fmt::format("{}{}{}", element % shape[axis], text.empty() ? "" : ", ", text);
    element /= shape[axis];
  }
  return "[" + text + "]";
}

}  // namespace convoy
