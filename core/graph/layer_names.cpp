#include "core/graph/layer_names.h"

#include <algorithm>

#include "core/graph/graph.h"

namespace convoy {
namespace {

/// Whether all of `text` is what the pattern says; goes back to the last * where it is not.
bool matches_text(std::string_view pattern, std::string_view text) {
  constexpr auto kNone = std::string_view::npos;
  std::size_t p = 0, t = 0, star = kNone, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != kNone) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNone;
}

}  // namespace

bool matches_layer(std::string_view pattern, std::string_view layer) {
  for (std::size_t end = layer.find('/'); end != std::string_view::npos; end = layer.find('/', end + 1))
    if (matches_text(pattern, layer.substr(0, end))) return true;
  return matches_text(pattern, layer);
}

bool matches_any(const std::vector<std::string>& patterns, std::string_view layer) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return matches_layer(p, layer); });
}

std::string_view layer_of(std::string_view parameter) {
  const std::size_t end = parameter.rfind('/');
  return end == std::string_view::npos ? parameter : parameter.substr(0, end);
}

std::vector<std::string> layers_of(const Graph& graph) {
  std::vector<std::string> layers;
  for (Value parameter : graph.with_role(Role::parameter)) {
    const std::string layer(layer_of(graph.info(parameter).name));
    if (std::find(layers.begin(), layers.end(), layer) == layers.end()) layers.push_back(layer);
  }
  return layers;
}

}  // namespace convoy
