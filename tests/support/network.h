#pragma once
// A graph that is run as it is, from values that follow from its values' names.
#include <cstddef>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/graph.h"

namespace convoy::test {

struct Network {
  Graph graph;
  std::vector<Value> leaves;  // results to look at: memory of the caller's
};

/// The bytes of all leaves. Reals are standard normal, whole numbers lie in [0, 3).
std::vector<std::vector<std::byte>> run_network(const Backend& backend, const Network& network);

}  // namespace convoy::test
