#pragma once
// Looking at what an op wrote for numbers that are not finite.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "io/loader.h"

namespace convoy {

/// The first op of a micro-batch, in the program's order, that wrote a value that is not finite.
struct NotFinite {
  int leaf = -1;
  int place = 0;            // of the op in the program
  std::string op, layer;    // "convolution" of layer "conv1"
  float value = 0;          // NaN or an infinity
  /// The sample in whose row it stands: id, and index in the split. -1: the value has no rows, like a filter's gradient.
  std::int64_t id = -1, index = -1;
};

/// The first element of `data`, host memory that holds the value `value` of `graph`, that is not finite; without op and
/// leaf. f32, bf16 and f16; in other types there is none.
std::optional<NotFinite> not_finite_in(const Graph& graph, Value value, const void* data, const MicroBatch& batch);

/// Whether all elements of all buckets are finite. `elements`: of each.
bool all_finite(const std::vector<float*>& buckets, const std::vector<std::int64_t>& elements);

/// Writes a NaN to each of `elements` elements of a real type, in host memory.
void fill_with_nan(void* data, std::int64_t elements, DType dtype);

}  // namespace convoy
