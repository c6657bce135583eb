#include "distributed/server/slice_math.h"

#include <bit>
#include <cstdint>

namespace convoy {

bool all_finite(const float* values, std::size_t count) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) bad |= (std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
  return bad == 0;
}

void accumulate(const float* more, float* sum, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sum[i] += more[i];
}

void descend(float rate, const float* gradients, float* parameters, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) parameters[i] -= rate * gradients[i];
}

void compensate(float lambda, float weight, const float* now, const float* pulled, float* gradients, std::size_t count) {
  const float factor = lambda / weight;
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradients[i];
    gradients[i] = g + factor * g * g * (now[i] - pulled[i]);
  }
}

}  // namespace convoy
