// What `convoy checkpoint diff` prints: io/checkpoint_diff.h.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "io/checkpoint_diff.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

std::string entries_text(std::string_view title, const std::vector<EntryDifference>& entries) {
  if (entries.empty()) return {};
  std::string text = fmt::format("\n{}\n", title);
  for (const EntryDifference& e : entries) {
    text += fmt::format("  {}\n    A: {}\n    B: {}\n", e.name, e.in_a ? e.a : "(absent)", e.in_b ? e.b : "(absent)");
  }
  return text;
}

std::string config_text(const CheckpointDifference& d) {
  if (d.config_a.empty() && d.config_b.empty()) return {};
  std::string text = "\nconfig (no part of the digest)\n";
  for (const std::string& line : d.config_a) text += "  A: " + line + "\n";
  for (const std::string& line : d.config_b) text += "  B: " + line + "\n";
  return text;
}

std::string tensor_text(const TensorDifference& t) {
  if (t.b.empty()) return fmt::format("  {}: only in A, {}\n", t.name, t.a);
  if (t.a.empty()) return fmt::format("  {}: only in B, {}\n", t.name, t.b);
  if (!t.comparable) return fmt::format("  {}: A {}, B {}\n", t.name, t.a, t.b);
  std::string text = fmt::format("  {} {}: {} of {} elements differ, first {}: {} | {}", t.name, t.a, t.differing,
                                 t.elements, t.first_index, t.first_a, t.first_b);
  if (t.not_numbers < t.differing)
    text += fmt::format("; largest difference {:.3g}, relative {:.3g}", t.largest_absolute, t.largest_relative);
  if (t.not_numbers > 0) text += fmt::format("; {} of them NaN or infinite in A or B", t.not_numbers);
  return text + "\n";
}

Json entries_json(const std::vector<EntryDifference>& entries) {
  Json list = Json::array();
  for (const EntryDifference& e : entries)
    list.push_back({{"name", e.name}, {"a", e.in_a ? Json(e.a) : Json()}, {"b", e.in_b ? Json(e.b) : Json()}});
  return list;
}

Json tensor_json(const TensorDifference& t) {
  Json json{{"name", t.name}, {"a", t.a.empty() ? Json() : Json(t.a)}, {"b", t.b.empty() ? Json() : Json(t.b)}};
  if (t.comparable)
    json.update({{"elements", t.elements}, {"differing", t.differing}, {"first_index", t.first_index},
                 {"first_a", t.first_a}, {"first_b", t.first_b}, {"not_numbers", t.not_numbers},
                 {"largest_absolute", t.largest_absolute}, {"largest_relative", t.largest_relative}});
  return json;
}

}  // namespace

std::string to_text(const CheckpointDifference& d) {
  std::string text = fmt::format("A: {} (step {})\nB: {} (step {})\n", d.a.string(), d.step_a, d.b.string(), d.step_b);
  text += entries_text("state", d.state) + entries_text("run record", d.run_record);
  text += entries_text("other (no part of the digest)", d.other) + config_text(d);
  text += fmt::format("\ntensors: {} of {} differ\n", d.tensors.size(), d.tensors_compared);
  for (const TensorDifference& tensor : d.tensors) text += tensor_text(tensor);
  return text + (d.same() ? fmt::format("same {}\n", d.digest_a) : fmt::format("different {} {}\n", d.digest_a, d.digest_b));
}

std::string to_json(const CheckpointDifference& d) {
  Json tensors = Json::array();
  for (const TensorDifference& tensor : d.tensors) tensors.push_back(tensor_json(tensor));
  const Json json{{"same", d.same()},
                  {"a", {{"file", d.a.string()}, {"step", d.step_a}, {"digest", d.digest_a}}},
                  {"b", {{"file", d.b.string()}, {"step", d.step_b}, {"digest", d.digest_b}}},
                  {"state", entries_json(d.state)},
                  {"run_record", entries_json(d.run_record)},
                  {"other", entries_json(d.other)},
                  {"config", {{"only_a", d.config_a}, {"only_b", d.config_b}}},
                  {"tensors_compared", d.tensors_compared},
                  {"tensors", tensors}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace convoy
