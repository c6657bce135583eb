#pragma once
// ReLU behind a layer of oneDNN. Its own ReLU, where a layer takes one along, is a vector maximum, which makes 0 of what is not
// a number; ours keeps it (relu() in core/ops/elementwise_math.h), so that a NaN surfaces in the loss.
#include <memory>

#include "core/backend/cpu/layer_primitive.h"

namespace convoy::cpu {

/// The forward layer followed by a ReLU over the `elements` of its result, f32 or bf16. Null stays null.
std::unique_ptr<LayerPrimitive> rectified(std::unique_ptr<LayerPrimitive> layer, std::int64_t elements, int threads);
std::unique_ptr<NarrowPrimitive> rectified(std::unique_ptr<NarrowPrimitive> layer, std::int64_t elements, int threads);

}  // namespace convoy::cpu
