#pragma once
// Options that name layers by patterns (core/graph/layer_names.h): freeze, init-from-layers, optim.rate-factor, train.init.
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/graph/graph.h"
#include "launch/config.h"

namespace convoy {

/// The patterns of freeze or init-from-layers. Throws UsageError for an empty one.
std::vector<std::string> layer_patterns(const Config& config, std::string_view option);

/// Patterns and initialisers of train.init: 'conv*:gaussian(0.01),fc:xavier'. Throws UsageError for what is none.
std::vector<std::pair<std::string, Initializer>> read_initializers(const Config& config);

/// Throws UsageError for entries of optim.rate-factor that are not PATTERN:FACTOR with a factor above 0.
void check_rate_factors(const Config& config);

/// The factors of optim.rate-factor by parameter, those that are not 1.
std::map<std::string, double> rate_factors(const Config& config, const Graph& graph);

/// Throws UsageError for a pattern of any of the options that matches no layer of the model, with the nearest names.
void check_layer_options(const Config& config, const Graph& graph);

}  // namespace convoy
