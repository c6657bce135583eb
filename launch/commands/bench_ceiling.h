#pragma once
// How far a training step is from what the machine allows, measured in the same run.
#include <nlohmann/json_fwd.hpp>

#include "core/graph/op_groups.h"

namespace convoy {

struct Ceiling {
  Limits limits;
  double seconds = 0;   // of a step each of whose kernels runs at the better of the limits
};

/// `micro_batch` runs `micro_batches` times a step, `update` once; `leaves` leave the micro-batch program. The limits are
/// those of `threads` threads together.
Ceiling measure_ceiling(const Graph& micro_batch, const std::vector<Value>& leaves, const Graph& update, int micro_batches,
                        const Backend& backend, int threads);

/// "limits here: 203 GFLOP/s in float32, 21 GB/s"
std::string describe(const Limits& limits);
nlohmann::ordered_json to_json(const Limits& limits);

/// The limits, and how much of the ceiling a step of `seconds` reaches; as text, and as members of a result.
std::string describe(const Ceiling& ceiling, double seconds);
void add_ceiling(nlohmann::ordered_json& json, const Ceiling& ceiling, double seconds);

}  // namespace convoy
