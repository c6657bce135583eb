#pragma once
// The one door to oneDNN: whatever differs between its versions 2 and 3 is behind these functions (onednn.cpp).
// Memory is ours: activations channels-last, filters OHWI. A primitive may prefer filters in a blocked layout;
// it then reorders them within run, into scratch.
#include <memory>
#include <string>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/layer_primitive.h"

namespace convoy::onednn {

/// Fixes the largest instruction set that oneDNN may use. Throws LibraryError if it has been fixed before.
void limit_isa(CpuIsa isa);
/// "2.6.3".
std::string version();
/// What oneDNN generates code for: "avx512_core_bf16".
std::string isa();
/// Whether the processor multiplies bf16 itself, and device.isa lets it (AVX512_BF16, AMX).
bool multiplies_bf16();

/// Null if oneDNN has no fast implementation; *reason then says why. The primitive's team is `threads` threads.
std::unique_ptr<cpu::LayerPrimitive> make_conv(const cpu::ConvSizes& conv, cpu::Direction direction,
                                               int threads, std::string* reason);
std::unique_ptr<cpu::LayerPrimitive> make_dense(const cpu::DenseSizes& dense, cpu::Direction direction,
                                                int threads, std::string* reason);

/// The same in bf16 with sums in f32, where the processor multiplies bf16 (AVX512_BF16, AMX).
std::unique_ptr<cpu::NarrowPrimitive> make_conv_bf16(const cpu::ConvSizes& conv, cpu::Direction direction,
                                                     int threads, std::string* reason);
std::unique_ptr<cpu::NarrowPrimitive> make_dense_bf16(const cpu::DenseSizes& dense, cpu::Direction direction,
                                                      int threads, std::string* reason);

}  // namespace convoy::onednn
