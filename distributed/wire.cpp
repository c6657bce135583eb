#include "distributed/wire.h"

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "distributed/add.h"

namespace convoy {

Wire::Wire(Communicator& communicator, std::size_t images, std::size_t rounded_elements)
    : communicator_(communicator), rounded_elements_(rounded_elements) {
  if (rounded_elements == 0) return;
  for (std::size_t i = 0; i < images; ++i) images_.emplace_back((rounded_elements + 1) / 2);
}

void Wire::begin(SumRounding rounding, std::size_t elements) {
  if (rounding == SumRounding::bf16 && elements > rounded_elements_)
    throw Error(fmt::format("a rounded bucket of {} elements, but the exchange was made for {} at most", elements,
                            rounded_elements_));
  rounding_ = rounding;
}

std::size_t Wire::element_bytes() const {
  return rounding_ == SumRounding::bf16 ? sizeof(std::uint16_t) : sizeof(float);
}

std::uint16_t* Wire::packed(std::size_t index) const {
  return reinterpret_cast<std::uint16_t*>(images_[index].data());  // raw memory, used as nothing else
}

void* Wire::image(std::size_t index, float* sums) {
  if (rounding_ == SumRounding::none) return sums;
  return packed(index);
}

void Wire::pack(std::size_t index, const float* sums, const Range& range) {
  if (rounding_ == SumRounding::none) return;
  pack_bf16(sums + range.begin, packed(index) + range.begin, range.size());
}

void Wire::unpack(std::size_t index, float* sums, const Range& range) const {
  if (rounding_ == SumRounding::none) return;
  unpack_bf16(packed(index) + range.begin, sums + range.begin, range.size());
}

RequestPtr Wire::send(const void* image, const Range& range, int peer, int tag) {
  const std::size_t bytes = range.size() * element_bytes();
  sent_bytes_ += static_cast<std::int64_t>(bytes);
  return communicator_.send(static_cast<const std::byte*>(image) + range.begin * element_bytes(), bytes, peer, tag);
}

RequestPtr Wire::receive(void* image, const Range& range, int peer, int tag) {
  return communicator_.receive(static_cast<std::byte*>(image) + range.begin * element_bytes(),
                               range.size() * element_bytes(), peer, tag);
}

const float* Wire::floats(const void* image, std::size_t count, float* room) const {
  if (rounding_ == SumRounding::none) return static_cast<const float*>(image);
  unpack_bf16(static_cast<const std::uint16_t*>(image), room, count);
  return room;
}

}  // namespace convoy
