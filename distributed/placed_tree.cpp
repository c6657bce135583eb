#include "distributed/placed_tree.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace convoy {
namespace {

unsigned bit_reversed(unsigned value, int bits) {
  unsigned reversed = 0;
  for (int bit = 0; bit < bits; ++bit) reversed |= (value >> bit & 1U) << (bits - 1 - bit);
  return reversed;
}

/// The indices 0 .. count - 1 ranked by their bit reversals.
std::vector<int> bit_reversed_places(int count) {
  const int bits = std::bit_width(static_cast<unsigned>(count - 1));
  std::vector<int> order(static_cast<std::size_t>(count)), place(order.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [bits](int a, int b) {
    return bit_reversed(static_cast<unsigned>(a), bits) < bit_reversed(static_cast<unsigned>(b), bits);
  });
  for (std::size_t at = 0; at < order.size(); ++at) place[static_cast<std::size_t>(order[at])] = static_cast<int>(at);
  return place;
}

}  // namespace

PlacedTree place_tree(const std::vector<Subtree>& parts, int leaves) {
  PlacedTree tree{bit_reversed_places(static_cast<int>(parts.size())), {}};
  struct Leveled {
    int level;
    AddRun run;
  };
  std::vector<int> level(parts.size(), 0);  // additions below what stands in a part
  std::vector<Leveled> adds;
  for (const TreeAdd& add : adds_to_root(parts, leaves)) {
    const auto target = static_cast<std::size_t>(add.target), source = static_cast<std::size_t>(add.source);
    level[target] = std::max(level[target], level[source]) + 1;
    adds.push_back({level[target], {tree.place[target], tree.place[source], 1}});
  }
  // Those of one level do not depend on each other.
  std::sort(adds.begin(), adds.end(), [](const Leveled& a, const Leveled& b) {
    return a.level != b.level ? a.level < b.level : a.run.target < b.run.target;
  });
  int last_level = 0;
  for (const auto& [at_level, run] : adds) {
    AddRun* const last = at_level == last_level ? &tree.runs.back() : nullptr;
    if (last && run.target == last->target + last->count && run.source == last->source + last->count)
      ++last->count;
    else
      tree.runs.push_back(run);
    last_level = at_level;
  }
  return tree;
}

}  // namespace convoy
