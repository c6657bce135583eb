#pragma once
// Convolution by plain loops: takes every size, and stands in where oneDNN has nothing.
#include "core/backend/cpu/layer_primitive.h"

namespace convoy::cpu {

/// Never null; reason is for the candidates that may decline.
std::unique_ptr<LayerPrimitive> make_conv_loop(const ConvSizes& sizes, Direction direction, int threads,
                                               std::string* reason);

}  // namespace convoy::cpu
