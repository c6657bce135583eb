#pragma once
// One rank's part of one bucket's tree.
#include <mutex>
#include <vector>

#include "core/backend/device.h"
#include "distributed/float_buffer.h"
#include "distributed/tree.h"

namespace convoy {

/// Buffers of a bucket's size that LocalSums takes where so many threads hand in their shares.
std::size_t local_sum_buffers(int begin, int end, int leaves, int threads, bool lends);

/// Sums leaves [begin, end) of a tree over `leaves` up to the largest subtrees inside. Two siblings that are
/// complete are summed at once (left + right) into the left one's buffer, so that few buffers live; a leaf that
/// waits for its sibling is copied, unless it is lent. Thread-safe: additions run outside the lock.
class LocalSums {
 public:
  /// `threads` that hand in their shares, each in ascending order: as many buffers as they need are taken here. Leaves
  /// and sums are rounded as `rounding` says. `lends`: each lends its last leaf.
  LocalSums(int begin, int end, int leaves, std::size_t elements, int threads, SumRounding rounding, bool lends = false);

  /// Empty again; the sums' buffers are free.
  void clear();
  /// True if by this leaf all subtrees are complete (one call a round says so). Error for a leaf twice or not
  /// ours.
  bool add_leaf(int leaf, const float* data);
  /// The same where `data` is ours to overwrite until clear().
  bool lend_leaf(int leaf, float* data);
  bool complete() const;
  /// A leaf that is still missing, or -1.
  int missing_leaf() const;
  /// The sums of subtrees_inside(begin, end, leaves), in leaf order, once complete. Theirs to overwrite until
  /// clear().
  std::vector<float*> sums() const;
  std::size_t memory_bytes() const;

 private:
  struct Node {
    int parent = -1;  // -1: one of the largest subtrees
    int sibling = -1;
    bool is_left = false;
    FloatBuffer sum;  // present from the node's completion to its parent's
  };
  int add_nodes(const Subtree& tree);  // returns the root's index
  void check_leaf(int leaf);
  bool add_leaf(int leaf, const float* data, FloatBuffer lent);
  bool settle(int node, FloatBuffer sum);
  FloatBuffer take_free();
  void put_free(FloatBuffer buffer);

  const int begin_, end_;
  const std::size_t elements_;
  const SumRounding rounding_;
  std::vector<int> roots_;       // nodes of the largest subtrees
  std::vector<int> leaf_nodes_;  // node of leaf begin_ + i
  mutable std::mutex mutex_;     // guards what follows
  std::vector<Node> nodes_;
  std::vector<char> arrived_;  // by leaf
  std::vector<FloatBuffer> free_;
  int incomplete_roots_ = 0;
  std::size_t buffers_ = 0;
};

}  // namespace convoy
