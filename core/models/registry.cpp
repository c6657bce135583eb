#include "core/models/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <mutex>

#include "core/models/zoo.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

const std::vector<ModelEntry>& table() {
  static const std::vector<ModelEntry> entries = make_model_table();
  return entries;
}

/// Those that were asked for by name and are in no table; they stay where they are.
const ModelEntry* remembered_of_family(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, ModelEntry, std::less<>> found;
  const std::lock_guard lock(mutex);
  if (const auto entry = found.find(name); entry != found.end()) return &entry->second;
  std::optional<ModelEntry> made = model_of_family(name);
  return made ? &found.emplace(std::string(name), std::move(*made)).first->second : nullptr;
}

}  // namespace

std::span<const ModelEntry> models() { return table(); }

const ModelEntry& find_model(std::string_view name) {
  for (const ModelEntry& entry : table())
    if (entry.name == name) return entry;
  if (const ModelEntry* entry = remembered_of_family(name)) return *entry;
  std::vector<std::string_view> known;
  for (const ModelEntry& entry : table()) known.push_back(entry.name);
  throw UsageError(fmt::format("there is no model \"{}\"; known are {}, and any densenet-L-K, densenet-bc-L-K and wide-resnet-D-K", name, fmt::join(known, ", ")));
}

ModelOptions complete_options(const ModelEntry& model, const std::map<std::string, std::string>& given) {
  ModelOptions options;
  for (const ModelOption& option : model.options) options.emplace(option.name, option.fallback);
  for (const auto& [name, value] : given) {
    const auto option = std::find_if(model.options.begin(), model.options.end(),
                                     [&wanted = name](const ModelOption& declared) { return declared.name == wanted; });
    if (option == model.options.end()) {
      std::vector<std::string> known;
      for (const ModelOption& declared : model.options) known.push_back(fmt::format("model.{}", declared.name));
      throw UsageError(fmt::format("the model {} has no option \"model.{}\"; it has {}", model.name, name,
                                   known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    }
    if (!option->choices.empty() &&
        std::find(option->choices.begin(), option->choices.end(), value) == option->choices.end())
      throw UsageError(fmt::format("model.{} of {} is one of {}, but \"{}\" was given", name, model.name,
                                   fmt::join(option->choices, ", "), value));
    options[name] = value;
  }
  return options;
}

std::vector<std::int64_t> parse_numbers(std::string_view option, std::string_view text) {
  std::vector<std::int64_t> numbers;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc{} || end != part.data() + part.size() || number < 1)
      throw UsageError(fmt::format("model.{}: \"{}\" is not a positive whole number", option, part));
    numbers.push_back(number);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return numbers;
}

double parse_number(std::string_view option, const std::string& text, double least, double most) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end || !(number >= least && number <= most))
    throw UsageError(fmt::format("model.{} is a number from {} to {}, but \"{}\" was given", option, least, most, text));
  return number;
}

double parse_rate(std::string_view option, const std::string& text) {
  char* end = nullptr;
  const double rate = std::strtod(text.c_str(), &end);
  if (text.empty() || *end || !(rate >= 0 && rate < 1))
    throw UsageError(fmt::format("model.{} lies in [0, 1), but \"{}\" was given", option, text));
  return rate;
}

}  // namespace convoy
