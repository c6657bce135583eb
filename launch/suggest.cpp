#include "launch/suggest.h"

#include <algorithm>
#include <vector>

namespace convoy {
namespace {

/// The name without its section.
std::string_view leaf(std::string_view name) { return name.substr(name.rfind('.') + 1); }

int distance_of_names(std::string_view word, std::string_view candidate) {
  const int whole = edit_distance(word, candidate);
  // A wrong or missing section counts as one slip.
  return std::min(whole, edit_distance(leaf(word), leaf(candidate)) + 1);
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  const std::size_t columns = b.size() + 1;
  std::vector<int> cost((a.size() + 1) * columns);
  const auto at = [&](std::size_t i, std::size_t j) -> int& { return cost[i * columns + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = static_cast<int>(i);
  for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int substituted = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return at(a.size(), b.size());
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  const int allowed = std::max(2, static_cast<int>(word.size() / 3));
  std::string best;
  int best_distance = allowed + 1;
  for (const std::string& candidate : candidates) {
    const int distance = distance_of_names(word, candidate);
    // A distance as long as the leaf itself means that nothing was left in common.
    if (distance < best_distance && distance < static_cast<int>(leaf(candidate).size())) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string best = nearest(word, candidates);
  return best.empty() ? "" : "; did you mean " + best + "?";
}

}  // namespace convoy
