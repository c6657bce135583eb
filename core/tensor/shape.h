#pragma once
// The extent of each axis of a tensor, outermost first. Channels-last everywhere: activations are
// [n, s1, .., sk, c] with 1 to 3 spatial axes, filters [o, k1, .., kk, c / groups].
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace convoy {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;  // rank 0: one element
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// Extent of an axis; negative axes count from the back (-1 is the innermost).
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)]; }
  std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(rank_)}; }
  /// Product of all extents; 1 for rank 0.
  std::int64_t elements() const { return elements(0, rank_); }
  /// Product of the extents of axes [first, last).
  std::int64_t elements(int first, int last) const;
  /// The same shape with another extent on one axis.
  Shape with(int axis, std::int64_t extent) const;
  /// "[8, 28, 28, 1]".
  std::string str() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace convoy
