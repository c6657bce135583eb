#pragma once
// The builders and the table that registry.cpp looks into. Private to models/.
#include "core/models/blocks.h"
#include "core/models/registry.h"

namespace convoy {

Value lenet5(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options);
Value mlp(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options);

/// Every network that `convoy model list` shows.
std::vector<ModelEntry> make_model_table();
/// A network of a family whose numbers stand in its name, as "densenet-40-24"; nothing where the name is of no family.
/// UsageError for numbers that the family does not allow.
std::optional<ModelEntry> model_of_family(std::string_view name);

/// A share in [0, 1) of the option "model.NAME"; throws UsageError naming it.
double parse_rate(std::string_view option, const std::string& text);
/// A number in [least, most] of the option "model.NAME"; throws UsageError naming it.
double parse_number(std::string_view option, const std::string& text, double least, double most);

}  // namespace convoy
