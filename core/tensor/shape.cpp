#include "core/tensor/shape.h"

#include <limits>

#include "core/tensor/error.h"

namespace convoy {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  if (extents.size() > kMaxRank)
    throw UsageError("a tensor has at most 6 axes, but " + std::to_string(extents.size()) + " were given");
  for (std::int64_t extent : extents) {
    if (extent < 0) throw UsageError("an axis of a tensor cannot have the extent " + std::to_string(extent));
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
  elements();  // refuses a product that overflows
}

std::int64_t Shape::elements(int first, int last) const {
  std::int64_t product = 1;
  for (int axis = first; axis < last; ++axis)
    if (__builtin_mul_overflow(product, (*this)[axis], &product))
      throw UsageError("the shape " + str() + " has more elements than 64 bits can count");
  return product;
}

Shape Shape::with(int axis, std::int64_t extent) const {
  Shape changed = *this;
  changed.extents_[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)] = extent;
  return changed;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) text += (axis ? ", " : "") + std::to_string((*this)[axis]);
  return text + "]";
}

}  // namespace convoy
