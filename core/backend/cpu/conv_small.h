#pragma once
// Convolutions of few channels by our own vector code, and convolutions that are dense layers.
#include "core/backend/cpu/layer_primitive.h"

namespace convoy::cpu {

/// One input channel (forward, backward filters) or a short kernel row (backward data). Null if the sizes do
/// not suit; *reason then says why.
std::unique_ptr<LayerPrimitive> make_conv_small(const ConvSizes& sizes, Direction direction, int threads,
                                                std::string* reason);

/// A kernel as large as its image: a dense layer over the same memory.
std::unique_ptr<LayerPrimitive> make_conv_dense(const ConvSizes& sizes, Direction direction, int threads,
                                                std::string* reason);

}  // namespace convoy::cpu
