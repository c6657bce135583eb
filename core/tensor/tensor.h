#pragma once
// A tensor is a value: a copy shares the storage, a slice is a view, only clone() copies bytes.
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace convoy {

class Tensor {
 public:
  Tensor() = default;  // empty: no storage, rank 0, valid() is false
  /// Zero-filled host memory, aligned to 64 bytes.
  Tensor(Shape shape, DType dtype);
  /// A view of memory that somebody else keeps alive.
  static Tensor view(void* data, Shape shape, DType dtype);

  bool valid() const { return data_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  std::int64_t elements() const { return shape_.elements(); }
  std::size_t size_bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype_); }

  std::byte* bytes() { return data_; }
  const std::byte* bytes() const { return data_; }
  template <typename T>
  std::span<T> values() {
    assert(dtype_of<T>() == dtype_);
    return {reinterpret_cast<T*>(data_), static_cast<std::size_t>(elements())};
  }
  template <typename T>
  std::span<const T> values() const {
    assert(dtype_of<T>() == dtype_);
    return {reinterpret_cast<const T*>(data_), static_cast<std::size_t>(elements())};
  }

  /// Rows [first, last) of the outermost axis, sharing the storage.
  Tensor slice(std::int64_t first, std::int64_t last) const;
  /// The same storage under another shape with as many elements.
  Tensor reshaped(Shape shape) const;
  /// A copy of the bytes.
  Tensor clone() const;

 private:
  std::shared_ptr<std::byte[]> storage_;
  std::byte* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
};

}  // namespace convoy
