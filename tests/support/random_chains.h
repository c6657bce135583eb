#pragma once
// Random graphs of element-wise ops, fused and not.
#include "core/backend/backend.h"
#include "core/graph/graph.h"
#include "support/network.h"

namespace convoy::test {

/// A random graph of element-wise ops on values of `type` and what casts make of them; a few results are leaves.
Network random_elements(DType type, unsigned seed);

/// The leaves of random_elements(type, seed) are the same bits before and behind the fuse pass.
void expect_same_bits_of_random_chains(const Backend& backend, DType type, unsigned seed);

/// The same of any graph; returns how many chains the pass made.
int expect_same_bits_in_chains(const Backend& backend, const Network& network, const std::string& where);

}  // namespace convoy::test
