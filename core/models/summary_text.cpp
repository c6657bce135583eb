// The three forms in which a summary is shown.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/models/summary.h"

namespace convoy {
namespace {

/// 1234567 -> "1,234,567".
std::string grouped(double number) {
  std::string digits = fmt::format("{:.0f}", number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string extents(const Shape& shape) { return fmt::format("{}", fmt::join(shape.extents(), " x ")); }

std::string row_name(const LayerRow& row) { return row.name.empty() ? "-" : row.name; }

}  // namespace

std::string summary_text(const ModelSummary& summary) {
  std::size_t name_width = 5, kind_width = 4, output_width = 6;
  for (const LayerRow& row : summary.layers) {
    name_width = std::max(name_width, row_name(row).size());
    kind_width = std::max(kind_width, row.kind.size());
    output_width = std::max(output_width, extents(row.output).size());
  }
  std::string text = fmt::format("{}   input {}\n\n", summary.model, extents(summary.input));
  text += fmt::format("{:<{}}  {:<{}}  {:>{}}  {:>11}  {:>14}  {:>12}  {:>12}\n", "layer", name_width, "kind", kind_width,
                      "output", output_width, "parameters", "multiply-adds", "sees", "bytes");
  for (const LayerRow& row : summary.layers)
    text += fmt::format("{:<{}}  {:<{}}  {:>{}}  {:>11}  {:>14}  {:>12}  {:>12}\n", row_name(row), name_width, row.kind,
                        kind_width, extents(row.output), output_width, row.parameters ? grouped(static_cast<double>(row.parameters)) : "",
                        row.multiply_adds > 0 ? grouped(row.multiply_adds) : "",
                        fmt::format("{}", fmt::join(row.receptive_field, " x ")), grouped(row.activation_bytes));
  text += fmt::format("\n{} parameters", grouped(static_cast<double>(summary.parameters)));
  if (summary.constants) text += fmt::format(" and {} fixed numbers", grouped(static_cast<double>(summary.constants)));
  text += fmt::format(", {} multiply-adds and {} bytes of activations for one sample's forward pass\n",
                      grouped(summary.multiply_adds), grouped(summary.activation_bytes));
  text += "sees: extents of the input window that one output pixel depends on; bytes: of the layer's output\n";
  return text;
}

std::string summary_json(const ModelSummary& summary) {
  nlohmann::ordered_json root;
  const auto list = [](const Shape& shape) {
    return std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end());
  };
  root["model"] = summary.model;
  root["input"] = list(summary.input);
  root["parameters"] = summary.parameters;
  root["constants"] = summary.constants;
  root["multiply_adds"] = summary.multiply_adds;
  root["activation_bytes"] = summary.activation_bytes;
  root["layers"] = nlohmann::ordered_json::array();
  for (const LayerRow& row : summary.layers)
    root["layers"].push_back({{"name", row.name},
                              {"kind", row.kind},
                              {"output", list(row.output)},
                              {"parameters", row.parameters},
                              {"multiply_adds", row.multiply_adds},
                              {"receptive_field", row.receptive_field},
                              {"activation_bytes", row.activation_bytes},
                              {"inputs", row.inputs}});
  return root.dump(2) + "\n";
}

std::string summary_dot(const ModelSummary& summary) {
  std::string text = fmt::format("digraph \"{}\" {{\n  rankdir=TB;\n  node [shape=box, fontname=\"Helvetica\"];\n", summary.model);
  text += fmt::format("  input [label=\"input\\n{}\", shape=ellipse];\n", extents(summary.input));
  for (std::size_t index = 0; index < summary.layers.size(); ++index) {
    const LayerRow& row = summary.layers[index];
    text += fmt::format("  n{} [label=\"{}\\n{}\\n{}{}\"];\n", index, row_name(row), row.kind, extents(row.output),
                        row.parameters ? fmt::format("\\n{} parameters", grouped(static_cast<double>(row.parameters))) : "");
    for (int source : row.inputs)
      text += source < 0 ? fmt::format("  input -> n{};\n", index) : fmt::format("  n{} -> n{};\n", source, index);
  }
  return text + "}\n";
}

}  // namespace convoy
