#pragma once
// The builders that registry.cpp lists.
#include "core/models/registry.h"

namespace convoy {

Value lenet5(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options);
Value mlp(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options);
/// depth = 6 blocks + 2.
Value resnet_small(Graph& graph, Value x, std::int64_t classes, int depth);

}  // namespace convoy
