#pragma once
// Single elements of tensors, for messages: whatever their type, as a number and as text.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace convoy {

/// The value of one element; 64-bit integers lose their last bits.
double element_value(const std::byte* element, DType dtype);
/// The shortest decimal that gives the element back; "nan", "inf", "-inf".
std::string element_text(const std::byte* element, DType dtype);
/// "[2, 0, 13]": the place of an element in row-major order.
std::string index_text(std::int64_t element, const Shape& shape);

}  // namespace convoy
