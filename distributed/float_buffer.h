#pragma once
// Memory for gradients.
#include <cstddef>
#include <memory>

namespace convoy {

/// `count` floats, 64-byte aligned, zero at first. Large ones ask for huge pages: reading another process's
/// memory (Open MPI's vader with CMA) pins it page by page, and 2 MB pages made an exchange of 100 MB 1.7 times
/// as fast.
class FloatBuffer {
 public:
  FloatBuffer() = default;
  explicit FloatBuffer(std::size_t count);
  /// Somebody else's floats, which are not freed here.
  static FloatBuffer lent(float* data);
  bool is_lent() const { return data_.get_deleter().lent; }
  float* data() const { return data_.get(); }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  struct Free {
    bool lent;
    Free() : lent(false) {}
    explicit Free(bool is_lent) : lent(is_lent) {}
    void operator()(float* data) const;
  };
  std::unique_ptr<float[], Free> data_;
};

}  // namespace convoy
