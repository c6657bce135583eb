#include "distributed/tree.h"

#include <bit>
#include <cassert>
#include <functional>

namespace convoy {

std::pair<int, int> share_of(int part, int parts, int begin, int end) {
  const std::int64_t count = end - begin;
  return {begin + static_cast<int>(part * count / parts), begin + static_cast<int>((part + 1) * count / parts)};
}

int tree_split(int a, int b) {
  assert(b - a >= 2);
  return a + static_cast<int>(std::bit_floor(static_cast<unsigned>(b - a - 1)));
}

std::vector<Subtree> subtrees_inside(int begin, int end, int leaves) {
  std::vector<Subtree> inside;
  const std::function<void(int, int)> visit = [&](int a, int b) {
    if (b <= begin || end <= a) return;
    if (begin <= a && b <= end) {
      inside.push_back({a, b});
      return;
    }
    const int split = tree_split(a, b);
    visit(a, split);
    visit(split, b);
  };
  visit(0, leaves);
  return inside;
}

std::vector<TreeAdd> adds_to_root(const std::vector<Subtree>& parts, int leaves) {
  std::vector<TreeAdd> adds;
  int next = 0;
  const std::function<int(int, int)> sum = [&](int a, int b) {  // returns where the sum over [a, b) stands
    if (parts[static_cast<std::size_t>(next)] == Subtree{a, b}) return next++;
    const int split = tree_split(a, b);
    const int left = sum(a, split);
    const int right = sum(split, b);
    adds.push_back({left, right});
    return left;
  };
  sum(0, leaves);
  return adds;
}

}  // namespace convoy
