#pragma once
// The ops of a program by what they cost: for benchmarks that set times beside the machine's limits.
#include <set>
#include <string>
#include <vector>

#include "core/backend/timing.h"
#include "core/graph/program.h"

namespace convoy {

/// What one kernel does (one op, or neighbours that share a kernel), and how often a program has it with the same
/// attributes, shapes and types.
struct OpGroup {
  std::vector<OpDesc> ops;
  std::string layer;               // the first that has it
  int count = 1;
  Cost cost;                       // of one
  DType type() const { return ops.front().inputs.empty() ? DType::f32 : ops.front().inputs.front().dtype; }
};

/// In the order of their first ops. Neighbours are taken together where the backend binds them so.
std::vector<OpGroup> group_ops(const Graph& graph, const Backend& backend, const ProgramOptions& options);

/// Types of the data that convolutions and dense layers read: those whose peak a ceiling needs.
std::set<DType> product_types(const std::vector<OpGroup>& groups);

/// Seconds of a program each of whose kernels runs at the better of the two limits, one after the other. A program can be
/// faster: by data that stay in a cache, and by algorithms with fewer multiply-adds than the definition (Winograd).
double ceiling_seconds(const std::vector<OpGroup>& groups, const Limits& limits);

}  // namespace convoy
