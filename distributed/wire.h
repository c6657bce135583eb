#pragma once
// How elements of a bucket travel between two ranks: floats as they are, or, where sums are rounded to bf16, the upper
// halves of the floats, 2 bytes an element.
//
// A bucket's image is what is sent from and received into: the array of sums itself, or a packed copy in which element i
// stands at 2 i.
#include <cstdint>
#include <vector>

#include "core/backend/device.h"
#include "distributed/chunks.h"
#include "distributed/float_buffer.h"

namespace convoy {

class Wire {
 public:
  /// Room for `images` packed buckets of up to `rounded_elements` each (0: no bucket is rounded).
  Wire(Communicator& communicator, std::size_t images, std::size_t rounded_elements);

  /// What follows is about a bucket of `elements` with this rounding. Error where it was not made for it.
  void begin(SumRounding rounding, std::size_t elements);
  SumRounding rounding() const { return rounding_; }

  void* image(std::size_t index, float* sums);
  /// Brings the image of a range up to date with the sums, and the other way round; nothing where they are one.
  void pack(std::size_t index, const float* sums, const Range& range);
  void unpack(std::size_t index, float* sums, const Range& range) const;

  RequestPtr send(const void* image, const Range& range, int peer, int tag);
  RequestPtr receive(void* image, const Range& range, int peer, int tag);
  /// The first `count` elements of an image as floats: in place, or in `room`.
  const float* floats(const void* image, std::size_t count, float* room) const;

  /// In all since the start.
  std::int64_t sent_bytes() const { return sent_bytes_; }
  std::size_t memory_bytes() const { return images_.size() * rounded_elements_ * sizeof(std::uint16_t); }

 private:
  std::size_t element_bytes() const;
  std::uint16_t* packed(std::size_t index) const;

  Communicator& communicator_;
  const std::size_t rounded_elements_;
  std::vector<FloatBuffer> images_;
  SumRounding rounding_ = SumRounding::none;
  std::int64_t sent_bytes_ = 0;
};

}  // namespace convoy
