#pragma once
// Where the operands of a weight_update stand.
#include <cstddef>

#include "core/ops/attributes.h"

namespace convoy {

inline constexpr int kMostSlots = 2;

constexpr int slots_of(Optimizer rule) { return rule == Optimizer::rmsprop || rule == Optimizer::adam ? 2 : 1; }

/// lars reads norms of the parameters that it adapts.
inline bool takes_norms(const UpdateAttributes& a) { return a.rule == Optimizer::lars && a.gradient_norm >= 0; }

/// w is operand 0, its slots are 1 and on. Without norms, `norms` is where they would be.
struct UpdateOperands {
  int gradient, scalars, norms;
  int copy;                        // where the copy is if there is one
  /// Whether an op of so many operands has one.
  bool has_copy(std::size_t operands) const { return static_cast<int>(operands) > copy; }
};
inline UpdateOperands operands_of(const UpdateAttributes& a) {
  const int gradient = 1 + slots_of(a.rule);
  return {gradient, gradient + 1, gradient + 2, gradient + (takes_norms(a) ? 3 : 2)};
}

}  // namespace convoy
