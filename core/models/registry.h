#pragma once
// The zoo: one explicit table. A model is a function from a graph and its input to logits; its file reads like its
// paper's table.
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/layers.h"

namespace convoy {

/// An option of a model, "model.NAME" for users.
struct ModelOption {
  std::string_view name;
  std::string_view fallback;   // the value where none is given
  std::string_view help;
  std::vector<std::string_view> choices;  // empty: free
};

/// What a model is built with: every declared option has a value, no others exist.
using ModelOptions = std::map<std::string, std::string, std::less<>>;

struct ModelEntry {
  std::string name;
  std::string summary;         // one line
  std::string_view source;     // the paper
  Shape input;                 // extents [s.., c] of the paper
  std::int64_t classes;        // of the paper
  std::vector<ModelOption> options;
  /// x [n, s.., c] -> logits [n, classes].
  std::function<Value(Graph& graph, Value x, std::int64_t classes, const ModelOptions& options)> build;
};

std::span<const ModelEntry> models();
/// Also networks of a family by numbers that models() does not list: densenet-40-24, wide-resnet-22-8. Throws UsageError
/// listing the known names.
const ModelEntry& find_model(std::string_view name);
/// Defaults overridden by `given`; unknown names and values outside the choices are UsageErrors.
ModelOptions complete_options(const ModelEntry& model, const std::map<std::string, std::string>& given);

/// Whole numbers from "256,128"; throws UsageError naming the option.
std::vector<std::int64_t> parse_numbers(std::string_view option, std::string_view text);

}  // namespace convoy
