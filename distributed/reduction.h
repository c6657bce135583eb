#pragma once
// The gradient reduction (design: section 4). Leaves are the V micro-batches' gradient sums; the sum over
// leaves [a, b) is a fixed binary tree that splits at a + the largest power of two below b - a. Who holds which
// leaf changes who computes which node, never a bit of the result.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/device.h"
#include "distributed/communicator.h"

namespace convoy {

/// Part `part` of `parts` of [begin, end): with n = end - begin, [begin + part n / parts, begin + (part + 1) n
/// / parts). Leaves of rank r of R are share_of(r, R, 0, V); a rank's threads split its leaves alike.
std::pair<int, int> share_of(int part, int parts, int begin, int end);

/// Where the tree splits [a, b), b - a >= 2: a + the largest power of two below b - a.
int tree_split(int a, int b);

enum class ReductionKind { deterministic, fast };

struct ReducerOptions {
  ReductionKind kind = ReductionKind::deterministic;
  int virtual_workers = 1;                    // V; R <= V
  std::vector<std::int64_t> bucket_elements;  // floats per bucket
  /// By bucket (empty: none is rounded): with bf16 every leaf and every sum is rounded, whether or not it crosses a wire, so
  /// that the bits do not depend on R; what crosses one takes 2 bytes an element. Not with `fast` (UsageError).
  std::vector<SumRounding> rounding = {};
  /// Threads of this rank that hand in leaves, each its share in ascending order: sizes the buffers, which are
  /// taken when the reducer is made (at most about log2 V + 1 gradients per thread). Any other order works too
  /// and may take more.
  int threads = 1;
  /// What a bucket is called while it is waited for, with its number behind.
  std::string name = "gradient bucket";
  /// By bucket (empty: none): the threads lend it of their last leaves (lend_bucket), which then take no buffers.
  std::vector<bool> lends = {};
  /// Fault injection: what the communication thread calls before each bucket's exchange. Null: nothing.
  std::function<void(std::int64_t step)> before_exchange = {};
};

/// Sums leaves into one gradient per step on every rank. Threads hand in leaves bucket by bucket while backward
/// still runs; a communication thread exchanges partial sums as soon as a bucket's local subtrees are complete.
/// Buckets are exchanged in the order of their numbers, so number them in the order in which backward completes
/// them.
///
/// After an exception the reducer is good for nothing but its destructor, which does not wait for silent peers
/// (but does wait for an all_reduce_fast under way).
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  /// Step `step` begins: every bucket is empty again. Called by one thread, after finish() of the step before.
  virtual void begin(std::int64_t step) = 0;
  /// Micro-batch `leaf`'s part of `bucket` is complete in `data`; the call copies or adds it and returns, so
  /// `data` may be overwritten afterwards. Any thread; each (leaf, bucket) of this rank's leaves once a step,
  /// or Error. Rethrows what ended the communication thread.
  virtual void bucket_ready(int leaf, int bucket, const float* data) = 0;
  /// The same where `data` is the reducer's, to overwrite too, until the next begin(): nothing is copied.
  virtual void lend_bucket(int leaf, int bucket, float* data) = 0;
  /// Waits for all buckets. Afterwards, until begin(), result(bucket) holds the tree's root: the same on every
  /// rank. Rethrows what ended the communication thread (PeerError by the communicator's deadline); Error if a
  /// leaf was not handed in by then.
  virtual void finish() = 0;
  virtual std::span<const float> result(int bucket) const = 0;
  /// Seconds that finish() waited (exposed communication), and seconds of communication, in all since the
  /// start.
  virtual double exposed_seconds() const = 0;
  virtual double communication_seconds() const = 0;
  /// Bytes that this rank's buffers take.
  virtual std::size_t memory_bytes() const = 0;
  /// Bytes that this rank has sent, in all since the start; 0 for `fast`, where the library sends.
  virtual std::int64_t sent_bytes() const = 0;
};

/// Collective. Splits a communicator of its own off `communicator`, whose deadline it follows. R > V is a
/// UsageError.
std::unique_ptr<GradientReducer> make_reducer(Communicator& communicator, const ReducerOptions& options);

}  // namespace convoy
