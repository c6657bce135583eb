#include "core/models/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "core/models/zoo.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

template <int kDepth>
Value resnet_of_depth(Graph& graph, Value x, std::int64_t classes, const ModelOptions&) {
  return resnet_small(graph, x, classes, kDepth);
}

constexpr std::string_view kResNetSource = "He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2";

const std::vector<ModelEntry>& table() {
  static const std::vector<ModelEntry> entries{
      {"lenet-5",
       "digits: 2 convolutions, 2 subsamplings, 3 dense layers; 60,000 parameters",
       "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, section II.B",
       {32, 32, 1},
       10,
       {{"variant", "1998", "1998: sparse C3, trainable subsampling, fixed output codes; modern: full C3, max "
                            "pooling, ReLU, trainable output",
         {"1998", "modern"}}},
       lenet5},
      {"mlp",
       "dense layers only",
       "Rumelhart et al. 1986, Learning representations by back-propagating errors",
       {28, 28, 1},
       10,
       {{"hidden", "256,128", "units of the hidden layers, separated by commas", {}},
        {"activation", "relu", "after every hidden layer", {"relu", "tanh", "sigmoid"}},
        {"dropout", "0", "share of each hidden layer's units dropped while training, [0, 1)", {}}},
       mlp},
      {"resnet-20", "residual network for small images, 20 layers", kResNetSource, {32, 32, 3}, 10, {},
       resnet_of_depth<20>},
      {"resnet-32", "residual network for small images, 32 layers", kResNetSource, {32, 32, 3}, 10, {},
       resnet_of_depth<32>},
      {"resnet-44", "residual network for small images, 44 layers", kResNetSource, {32, 32, 3}, 10, {},
       resnet_of_depth<44>},
      {"resnet-56", "residual network for small images, 56 layers", kResNetSource, {32, 32, 3}, 10, {},
       resnet_of_depth<56>},
      {"resnet-110", "residual network for small images, 110 layers", kResNetSource, {32, 32, 3}, 10, {},
       resnet_of_depth<110>},
  };
  return entries;
}

}  // namespace

std::span<const ModelEntry> models() { return table(); }

const ModelEntry& find_model(std::string_view name) {
  for (const ModelEntry& entry : table())
    if (entry.name == name) return entry;
  std::vector<std::string_view> known;
  for (const ModelEntry& entry : table()) known.push_back(entry.name);
  throw UsageError(fmt::format("there is no model \"{}\"; known are {}", name, fmt::join(known, ", ")));
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

}  // namespace convoy
