#include "distributed/local_sums.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tensor/error.h"
#include "distributed/add.h"

namespace convoy {
namespace {

/// Most sums alive while one thread hands in [begin, end) in ascending order: what is complete after k leaves
/// are the largest subtrees inside [begin, begin + k). Behind a last leaf that is lent, no more than before it.
std::size_t most_alive(int begin, int end, int leaves, bool lends) {
  std::size_t most = 0;
  for (int k = begin + 1; k <= end - (lends ? 1 : 0); ++k) most = std::max(most, subtrees_inside(begin, k, leaves).size());
  return most;
}

}  // namespace

std::size_t local_sum_buffers(int begin, int end, int leaves, int threads, bool lends) {
  std::size_t buffers = 0;
  for (int t = 0; t < threads; ++t) {
    const auto [first, last] = share_of(t, threads, begin, end);
    buffers += most_alive(first, last, leaves, lends);
  }
  return buffers;
}

LocalSums::LocalSums(int begin, int end, int leaves, std::size_t elements, int threads, SumRounding rounding,
                     bool lends)
    : begin_(begin), end_(end), elements_(elements), rounding_(rounding), arrived_(static_cast<std::size_t>(end - begin)) {
  for (const Subtree& subtree : subtrees_inside(begin, end, leaves)) roots_.push_back(add_nodes(subtree));
  incomplete_roots_ = static_cast<int>(roots_.size());
  buffers_ = local_sum_buffers(begin, end, leaves, threads, lends && rounding == SumRounding::none);  // lend_leaf
  for (std::size_t i = 0; i < buffers_; ++i) free_.emplace_back(elements_);
}

int LocalSums::add_nodes(const Subtree& tree) {
  int left = -1, right = -1;
  if (tree.end - tree.begin > 1) {
    const int split = tree_split(tree.begin, tree.end);
    left = add_nodes({tree.begin, split});
    right = add_nodes({split, tree.end});
  }
  const int self = static_cast<int>(nodes_.size());
  nodes_.emplace_back();
  if (left < 0) {
    leaf_nodes_.push_back(self);  // leaves are met in ascending order
  } else {
    nodes_[static_cast<std::size_t>(left)].parent = nodes_[static_cast<std::size_t>(right)].parent = self;
    nodes_[static_cast<std::size_t>(left)].sibling = right;
    nodes_[static_cast<std::size_t>(right)].sibling = left;
    nodes_[static_cast<std::size_t>(left)].is_left = true;
  }
  return self;
}

void LocalSums::clear() {
  const std::lock_guard lock(mutex_);
  for (Node& node : nodes_) {
    if (node.sum) put_free(std::exchange(node.sum, FloatBuffer()));
  }
  std::fill(arrived_.begin(), arrived_.end(), char{0});
  incomplete_roots_ = static_cast<int>(roots_.size());
}

bool LocalSums::add_leaf(int leaf, const float* data) { return add_leaf(leaf, data, FloatBuffer()); }

/// What is to be rounded is copied all the same.
bool LocalSums::lend_leaf(int leaf, float* data) {
  return add_leaf(leaf, data, rounding_ == SumRounding::none ? FloatBuffer::lent(data) : FloatBuffer());
}

bool LocalSums::add_leaf(int leaf, const float* data, FloatBuffer lent) {
  const int self = leaf < begin_ || leaf >= end_ ? -1 : leaf_nodes_[static_cast<std::size_t>(leaf - begin_)];
  FloatBuffer sum;
  bool sibling_waits = false;
  {
    const std::lock_guard lock(mutex_);
    check_leaf(leaf);
    const Node& node = nodes_[static_cast<std::size_t>(self)];
    sibling_waits = node.parent >= 0 && nodes_[static_cast<std::size_t>(node.sibling)].sum;
    sum = sibling_waits ? std::exchange(nodes_[static_cast<std::size_t>(node.sibling)].sum, FloatBuffer())
                        : lent ? std::move(lent) : take_free();
  }
  if (!sibling_waits) {
    if (!sum.is_lent()) store_leaf(data, sum.data(), elements_, rounding_);
    return settle(self, std::move(sum));
  }
  const Node& node = nodes_[static_cast<std::size_t>(self)];  // its place in the tree never changes
  if (node.is_left) {
    convoy::add_leaf(data, sum.data(), sum.data(), elements_, rounding_);
  } else {
    convoy::add_leaf(sum.data(), data, sum.data(), elements_, rounding_);
  }
  return settle(node.parent, std::move(sum));
}

void LocalSums::check_leaf(int leaf) {
  if (leaf < begin_ || leaf >= end_) {
    throw Error(fmt::format("micro-batch {} was handed in, but this rank holds [{}, {})", leaf, begin_, end_));
  }
  if (std::exchange(arrived_[static_cast<std::size_t>(leaf - begin_)], char{1}) != 0) {
    throw Error(fmt::format("micro-batch {} was handed in twice in one step", leaf));
  }
}

/// `node` is complete with `sum`. Climbs as long as the sibling is complete too.
bool LocalSums::settle(int node, FloatBuffer sum) {
  for (;;) {
    FloatBuffer other;
    {
      const std::lock_guard lock(mutex_);
      Node& self = nodes_[static_cast<std::size_t>(node)];
      if (self.parent < 0 || !nodes_[static_cast<std::size_t>(self.sibling)].sum) {
        self.sum = std::move(sum);
        return self.parent < 0 && --incomplete_roots_ == 0;
      }
      other = std::exchange(nodes_[static_cast<std::size_t>(self.sibling)].sum, FloatBuffer());
    }
    if (!nodes_[static_cast<std::size_t>(node)].is_left) std::swap(sum, other);
    add(sum.data(), other.data(), sum.data(), elements_, rounding_);
    const std::lock_guard lock(mutex_);
    put_free(std::move(other));
    node = nodes_[static_cast<std::size_t>(node)].parent;
  }
}

FloatBuffer LocalSums::take_free() {
  if (free_.empty()) {
    ++buffers_;
    return FloatBuffer(elements_);
  }
  FloatBuffer buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

/// What was lent goes back to its owner.
void LocalSums::put_free(FloatBuffer buffer) {
  if (!buffer.is_lent()) free_.push_back(std::move(buffer));
}

bool LocalSums::complete() const {
  const std::lock_guard lock(mutex_);
  return incomplete_roots_ == 0;
}

int LocalSums::missing_leaf() const {
  const std::lock_guard lock(mutex_);
  const auto missing = std::find(arrived_.begin(), arrived_.end(), char{0});
  return missing == arrived_.end() ? -1 : begin_ + static_cast<int>(missing - arrived_.begin());
}

std::vector<float*> LocalSums::sums() const {
  const std::lock_guard lock(mutex_);
  std::vector<float*> sums;
  for (const int root : roots_) sums.push_back(nodes_[static_cast<std::size_t>(root)].sum.data());
  return sums;
}

std::size_t LocalSums::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  return buffers_ * elements_ * sizeof(float);
}

}  // namespace convoy
