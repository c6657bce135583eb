#pragma once
// Layers by their names, as options name them: "stage2/block1/conv1" is the layer of the parameter
// "stage2/block1/conv1/filters". In a pattern, * stands for any characters ("/" too) and ? for one. A pattern means the layers
// whose name it matches, and all that lie within a scope whose name it matches: "stage2" means "stage2/block1/conv1" too.
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

class Graph;

bool matches_layer(std::string_view pattern, std::string_view layer);
bool matches_any(const std::vector<std::string>& patterns, std::string_view layer);

/// The layer of a parameter or state.
std::string_view layer_of(std::string_view parameter);

/// Of all layers that have parameters, in their order; each once.
std::vector<std::string> layers_of(const Graph& graph);

}  // namespace convoy
