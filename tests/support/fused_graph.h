#pragma once
// A network of residual blocks as its ops stand and as the fuse pass leaves it, on one backend from the same values.
#include "core/backend/backend.h"
#include "core/graph/graph.h"

namespace convoy::test {

/// The gradients, statistics and loss of both are the same bits. `real`: f64 for the reference, else f32. The fused graph must
/// have fewer ops, or nothing was tested.
void expect_same_bits_fused(const Backend& backend, DType real);

}  // namespace convoy::test
