#pragma once
// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): about 2.5 times as fast as the direct way for 16 to
// 64 channels. Rounding errors are a few times those of the direct sum (the parity tests hold both to one
// bound).
#include "core/backend/cpu/layer_primitive.h"

namespace convoy::cpu {

/// Null if the sizes do not suit; *reason then says why.
std::unique_ptr<LayerPrimitive> make_conv_winograd(const ConvSizes& sizes, Direction direction, int threads,
                                                   std::string* reason);
/// Images and filters in bf16, all that lies between in f32.
std::unique_ptr<NarrowPrimitive> make_conv_winograd_bf16(const ConvSizes& sizes, Direction direction, int threads,
                                                         std::string* reason);

}  // namespace convoy::cpu
