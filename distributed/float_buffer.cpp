#include "distributed/float_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace convoy {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

FloatBuffer::FloatBuffer(std::size_t count) {
  const std::size_t bytes = count * sizeof(float);
  const std::size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kCacheLine;
  const std::size_t rounded = (bytes / alignment + 1) * alignment;
  data_.reset(static_cast<float*>(std::aligned_alloc(alignment, rounded)));
  if (!data_) throw std::bad_alloc();
  if (alignment == kHugePage) static_cast<void>(::madvise(data_.get(), rounded, MADV_HUGEPAGE));  // only a wish
  std::memset(data_.get(), 0, bytes);  // the pages are taken here, not in the first step
}

FloatBuffer FloatBuffer::lent(float* data) {
  FloatBuffer buffer;
  buffer.data_ = {data, Free(true)};
  return buffer;
}

void FloatBuffer::Free::operator()(float* data) const {
  if (!lent) std::free(data);
}

}  // namespace convoy
