#pragma once
// Convolutions and dense layers without their op: sizes, and what computes one direction of one of them.
// oneDNN, our vector code and the plain loops all stand behind LayerPrimitive.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/tensor/narrow.h"

namespace convoy::cpu {

enum class Direction { forward, backward_data, backward_filters };

/// A convolution with zero padding. Sizes of `axes` spatial axes in the first places of the arrays.
struct ConvSizes {
  int axes = 2;
  std::int64_t n = 1, c = 1, o = 1, groups = 1;
  std::array<std::int64_t, 3> in{}, out{}, kernel{}, stride{}, dilation{}, pad_low{}, pad_high{};
  bool bias = false;
  bool relu = false;
};

/// y [n, o] = x [n, f] weights [o, f] + bias.
struct DenseSizes {
  std::int64_t n = 1, f = 1, o = 1;
  bool bias = false;
  bool relu = false;
};

/// One direction of one layer, bound to its shapes. One thread runs it at a time.
class LayerPrimitive {
 public:
  virtual ~LayerPrimitive() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual std::string implementation() const = 0;
  /// Operands of forward: a = x, b = filters, bias, result = y; of backward data: a = dy, b = filters, result =
  /// dx; of backward filters: a = x, b = dy, result = dfilters, bias = dbias. bias is null where there is none.
  virtual void run(const float* a, const float* b, float* bias, float* result, void* scratch) = 0;
};

/// The same with a and b in bf16. The result of forward and backward data is bf16, that of backward filters f32.
class NarrowPrimitive {
 public:
  virtual ~NarrowPrimitive() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual std::string implementation() const = 0;
  virtual void run(const Bf16* a, const Bf16* b, float* bias, void* result, void* scratch) = 0;
};

}  // namespace convoy::cpu
