#pragma once
// "Did you mean ...?"
#include <span>
#include <string>
#include <string_view>

namespace convoy {

/// Fewest insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string
/// alignment).
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or "" where none is near (more than a third of the letters, at least two,
/// differ). A word that lacks or mistakes only its section ("epochs" for "train.epochs") is near too.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "; did you mean X?" or "".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace convoy
