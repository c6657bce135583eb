#include "launch/train/not_finite.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/tensor/error.h"
#include "core/tensor/narrow.h"

namespace convoy {
namespace {

/// Place and value of the first; -1: none.
template <typename T>
std::int64_t first_bad(const void* data, std::int64_t elements, float& value) {
  const auto* begin = static_cast<const T*>(data);
  const auto* bad = std::find_if(begin, begin + elements, [](T element) { return !std::isfinite(to_float(element)); });
  if (bad == begin + elements) return -1;
  value = to_float(*bad);
  return bad - begin;
}

template <typename T>
void fill(void* data, std::int64_t elements) {
  std::fill_n(static_cast<T*>(data), elements, from_float<T>(std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace

std::optional<NotFinite> not_finite_in(const Graph& graph, Value value, const void* data, const MicroBatch& batch) {
  const ValueInfo& info = graph.info(value);
  const Shape& shape = info.desc.shape;
  NotFinite found;
  std::int64_t at = -1;
  if (info.desc.dtype == DType::f32) at = first_bad<float>(data, shape.elements(), found.value);
  if (info.desc.dtype == DType::bf16) at = first_bad<Bf16>(data, shape.elements(), found.value);
  if (info.desc.dtype == DType::f16) at = first_bad<F16>(data, shape.elements(), found.value);
  if (at < 0) return std::nullopt;
  const auto rows = static_cast<std::int64_t>(batch.indices.size());
  if (shape.rank() > 0 && shape[0] == rows && info.role == Role::activation) {
    const auto row = static_cast<std::size_t>(at / (shape.elements() / rows));
    found.id = static_cast<std::int64_t>(batch.keys.values<std::uint64_t>()[2 * row + 1]);
    found.index = batch.indices[row];
  }
  return found;
}

bool all_finite(const std::vector<float*>& buckets, const std::vector<std::int64_t>& elements) {
  constexpr std::uint32_t kInfinity = 0x7f800000, kMagnitude = 0x7fffffff;
  std::uint32_t largest = 0;
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
    for (std::int64_t at = 0; at < elements[bucket]; ++at)
      largest = std::max(largest, std::bit_cast<std::uint32_t>(buckets[bucket][at]) & kMagnitude);
  return largest < kInfinity;
}

void fill_with_nan(void* data, std::int64_t elements, DType dtype) {
  if (dtype == DType::f32) return fill<float>(data, elements);
  if (dtype == DType::bf16) return fill<Bf16>(data, elements);
  if (dtype == DType::f16) return fill<F16>(data, elements);
  throw Error("only real numbers can be NaN");
}

}  // namespace convoy
