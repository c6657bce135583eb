#pragma once
// First values of parameters, states and constants (kinds: Initializer in graph.h).
#include <cstdint>

#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace convoy {

/// Element i, in the order of storage, is a function of (seed, info.name, i) and the initializer alone, so
/// values do not depend on what was made before. Numbers: RandomKey(seed, "init").child(name_key(info.name)),
/// drawn with normal(i) for the gaussian kinds, uniform_double(i) for the uniform ones, word(i)'s upper bit for
/// signs. They are computed in double and rounded once for f32. `info`: a parameter, state or constant of type
/// f32 or f64. Throws UsageError otherwise, or if the initializer needs fans that are not positive.
Tensor initial_value(const ValueInfo& info, std::uint64_t seed);

}  // namespace convoy
