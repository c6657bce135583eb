#include "launch/layer_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <optional>
#include <utility>

#include "core/graph/layer_names.h"
#include "core/tensor/error.h"
#include "launch/suggest.h"

namespace convoy {
namespace {

constexpr std::size_t kShown = 8;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; !text.empty() && begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<std::pair<std::string, double>> read_rate_factors(const Config& config) {
  std::vector<std::pair<std::string, double>> factors;
  for (const std::string& entry : split(config.get<std::string>("optim.rate-factor"))) {
    const std::size_t colon = entry.rfind(':');
    double factor = 0;
    const char *begin = entry.data() + colon + 1, *end = entry.data() + entry.size();
    const bool number = colon != std::string::npos && colon > 0 && [&] {
      const auto [rest, error] = std::from_chars(begin, end, factor);
      return error == std::errc{} && rest == end && factor > 0 && factor < 1e6;
    }();
    if (!number)
      throw UsageError(fmt::format("optim.rate-factor: '{}': expected PATTERN:FACTOR with a factor above 0, as in conv1:0.1; "
                                   "--freeze leaves layers as they are",
                                   entry));
    factors.emplace_back(entry.substr(0, colon), factor);
  }
  return factors;
}

struct NamedInitializer {
  std::string_view name;
  Initializer::Kind kind;
  double value;                    // where none is given
  bool takes_value;
};
constexpr NamedInitializer kInitializers[]{
    {"gaussian", Initializer::Kind::gaussian, 0.01, true},       {"uniform", Initializer::Kind::uniform, 0.1, true},
    {"fan-in-uniform", Initializer::Kind::fan_in_uniform, 2.4, true}, {"xavier", Initializer::Kind::xavier_uniform, 0, false},
    {"xavier-normal", Initializer::Kind::xavier_normal, 0, false}, {"he", Initializer::Kind::he_normal, 0, false},
    {"he-uniform", Initializer::Kind::he_uniform, 0, false},      {"he-fan-out", Initializer::Kind::he_normal_fan_out, 0, false},
    {"orthogonal", Initializer::Kind::orthogonal, 1, true}};

/// "gaussian(0.01)" or "xavier"; nothing where it is none.
std::optional<Initializer> read_initializer(std::string_view text) {
  const std::size_t open = text.find('(');
  const std::string_view name = text.substr(0, open);
  for (const NamedInitializer& known : kInitializers) {
    if (known.name != name) continue;
    if (open == std::string_view::npos) return Initializer{known.kind, known.value};
    double value = 0;
    const char *begin = text.data() + open + 1, *end = text.data() + text.size() - 1;
    const auto [rest, error] = std::from_chars(begin, end, value);
    if (!known.takes_value || text.back() != ')' || error != std::errc{} || rest != end || !(value > 0 && value < 1e6)) return {};
    return Initializer{known.kind, value};
  }
  return {};
}

void require_layer(std::string_view option, const std::string& pattern, const std::vector<std::string>& layers) {
  for (const std::string& layer : layers)
    if (matches_layer(pattern, layer)) return;
  std::string near = nearest(pattern, layers);
  if (near.empty()) {
    const std::size_t shown = std::min(layers.size(), kShown);
    near = fmt::format("the layers are {}{}", fmt::join(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                       shown < layers.size() ? fmt::format(" and {} more", layers.size() - shown) : "");
  } else {
    near = fmt::format("did you mean {}?", near);
  }
  throw UsageError(fmt::format("{}: '{}' matches no layer of the model; {} (convoy model show lists all)", option, pattern, near));
}

}  // namespace

std::vector<std::string> layer_patterns(const Config& config, std::string_view option) {
  std::vector<std::string> patterns = split(config.get<std::string>(option));
  for (const std::string& pattern : patterns)
    if (pattern.empty())
      throw UsageError(fmt::format("{} = '{}': expected names of layers, separated by commas; one is empty", option,
                                   config.get<std::string>(option)));
  return patterns;
}

std::vector<std::pair<std::string, Initializer>> read_initializers(const Config& config) {
  std::vector<std::pair<std::string, Initializer>> initializers;
  for (const std::string& entry : split(config.get<std::string>("train.init"))) {
    const std::size_t colon = entry.rfind(':');
    const auto initializer = colon == std::string::npos ? std::nullopt : read_initializer(std::string_view(entry).substr(colon + 1));
    if (colon == 0 || !initializer) {
      std::vector<std::string> names;
      for (const NamedInitializer& known : kInitializers)
        names.push_back(known.takes_value ? fmt::format("{}({})", known.name, known.value) : std::string(known.name));
      throw UsageError(fmt::format("train.init: '{}': expected PATTERN:INITIALISER with one of {}", entry, fmt::join(names, ", ")));
    }
    initializers.emplace_back(entry.substr(0, colon), *initializer);
  }
  return initializers;
}

void check_rate_factors(const Config& config) { read_rate_factors(config); }

std::map<std::string, double> rate_factors(const Config& config, const Graph& graph) {
  std::map<std::string, double> by_parameter;
  const auto factors = read_rate_factors(config);
  for (Value parameter : graph.with_role(Role::parameter)) {
    const std::string& name = graph.info(parameter).name;
    for (const auto& [pattern, factor] : factors)
      if (matches_layer(pattern, layer_of(name))) by_parameter[name] = factor;
  }
  return by_parameter;
}

void check_layer_options(const Config& config, const Graph& graph) {
  const std::vector<std::string> layers = layers_of(graph);
  for (const std::string_view option : {"freeze", "init-from-layers"})
    for (const std::string& pattern : layer_patterns(config, option)) require_layer(option, pattern, layers);
  for (const auto& [pattern, factor] : read_rate_factors(config)) require_layer("optim.rate-factor", pattern, layers);
  for (const auto& [pattern, initializer] : read_initializers(config)) require_layer("train.init", pattern, layers);
}

}  // namespace convoy
