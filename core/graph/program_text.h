#pragma once
// A program as people read it: every op with its kernel, its results, and where they lie in the arena and for how long.
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/graph/program.h"

namespace convoy {

std::string program_text(const Program& program);
/// [{op, layer, kernel, inputs, outputs: [{value, shape, dtype, place, offset, bytes, first_op, last_op}]}]
nlohmann::ordered_json program_json(const Program& program);

}  // namespace convoy
