#include "core/tensor/tensor.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr std::align_val_t kAlignment{64};
// Large memory lies on 2 MiB pages where the system grants them: with 4 KiB pages the arena of a batch outgrows the
// processor's page tables, and a training step takes a fifth longer.
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::align_val_t kHugeAlignment{kHugePage};

std::align_val_t alignment_for(std::size_t size) { return size >= 2 * kHugePage ? kHugeAlignment : kAlignment; }

std::shared_ptr<std::byte[]> allocate(std::size_t size) {
  const std::align_val_t alignment = alignment_for(size);
  auto* raw = static_cast<std::byte*>(::operator new[](size ? size : 1, alignment));
  if (alignment == kHugeAlignment) static_cast<void>(madvise(raw, size, MADV_HUGEPAGE));  // a hint: may be refused
  return {raw, [alignment](std::byte* p) { ::operator delete[](p, alignment); }};
}

}  // namespace

Tensor::Tensor(Shape shape, DType dtype) : shape_(shape), dtype_(dtype) {
  const std::size_t size = size_bytes();
  storage_ = allocate(size);
  data_ = storage_.get();
  std::memset(data_, 0, size);
}

Tensor Tensor::view(void* data, Shape shape, DType dtype) {
  Tensor tensor;
  tensor.data_ = static_cast<std::byte*>(data);
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::slice(std::int64_t first, std::int64_t last) const {
  if (shape_.rank() == 0 || first < 0 || last < first || last > shape_[0])
    throw UsageError("rows [" + std::to_string(first) + ", " + std::to_string(last) + ") of a tensor of shape " +
                     shape_.str() + " do not exist");
  Tensor part = *this;
  part.data_ += static_cast<std::size_t>(first * shape_.elements(1, shape_.rank())) * size_of(dtype_);
  part.shape_ = shape_.with(0, last - first);
  return part;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (shape.elements() != elements())
    throw UsageError("a tensor of shape " + shape_.str() + " cannot take the shape " + shape.str());
  Tensor same = *this;
  same.shape_ = shape;
  return same;
}

Tensor Tensor::clone() const {
  if (!valid()) return {};
  Tensor copy(shape_, dtype_);
  std::memcpy(copy.data_, data_, size_bytes());
  return copy;
}

}  // namespace convoy
