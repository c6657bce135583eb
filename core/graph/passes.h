#pragma once
// From a graph to something that can run (design: section 3):
//   build -> infer shapes -> differentiate -> lower precision -> place communication -> fuse -> recompute -> plan memory ->
//   bind to a backend
// Shapes are inferred while building. Every pass is a function on graphs or plans; none executes anything.
#include <cstddef>
#include <string>
#include <vector>

#include "core/backend/device.h"
#include "core/graph/graph.h"

namespace convoy {

/// Appends the ops that compute d loss / d p for all parameters p that `loss` [1] depends on and that are not frozen; below the
/// lowest of them nothing is computed.
/// Returns (parameter, gradient) in the order of the parameters; a gradient has role gradient. The gradient of a value
/// used more than once is the sum over its uses.
struct ParameterGradient {
  Value parameter;
  Value gradient;
};
std::vector<ParameterGradient> differentiate(Graph& graph, Value loss);
/// Of the sum of several losses.
std::vector<ParameterGradient> differentiate(Graph& graph, const std::vector<Value>& losses);

/// Mixed precision: `compute` is bf16 or f16 (f32: nothing happens), the graph is of f32. `prepare` writes `compute`, every
/// op is inferred anew with the types that takes_narrow() says, and a cast stands before the first op that needs a value in
/// another type: each (value, type) is cast once. A parameter or constant that a layer reads in `compute` becomes a value of
/// role copy. Value ids stay; `wide` (the leaves) stay f32. In f16 the loss' gradient reads a new input "loss_scale" f32 [1],
/// so that all gradients are that many times larger. To be called after differentiate and before place_communication.
void lower_precision(Graph& graph, DType compute, const std::vector<Value>& wide);

/// Fuses conv / dense / batch_norm with the ReLU that alone follows, and batch_norm with relu(y + residual) where the sum is
/// of two terms and read by the ReLU alone; batch_norm_backward with the ReLU's backward op before it. In f32 the bits are
/// those of the single ops; in a narrow type the sum is rounded once, behind the ReLU. Then every run of two or more
/// element-wise ops on values of one shape becomes one elementwise_chain, with the bits of the single ops in every type.
/// Values of `keep`, which are read after the program has run, and all that an op reads stay; value ids do too.
void fuse(Graph& graph, const std::vector<Value>& keep = {});
/// Removes ops whose results nobody reads, but for `keep`.
void remove_unused(Graph& graph, const std::vector<Value>& keep);

/// A value that leaves the micro-batch program through the reduction tree: where it lies in its bucket.
struct LeafSlot {
  Value value;
  int bucket = 0;
  std::int64_t offset = 0;         // elements from the bucket's begin
};
/// Cuts the leaves into buckets in the order in which the program finishes them, each closed when it holds at least
/// `bucket_bytes`, and appends external ops bucket_ready(b) right after the op that completes a bucket.
///
/// `rounded`: those of the leaves whose sums are rounded to bf16 (gradients). They lie in buckets of their own: losses, counts
/// and sums of weights (bf16 holds no odd number above 256) and batch-norm statistics stay f32 and travel apart.
struct BucketLayout {
  std::vector<LeafSlot> slots;
  std::vector<std::int64_t> elements;  // per bucket, of the real type
  std::vector<SumRounding> rounding;   // per bucket
  int buckets() const { return static_cast<int>(elements.size()); }
  const LeafSlot& slot_of(Value value) const;
};
/// The name of those external ops; their index is the bucket.
inline constexpr const char* kBucketReady = "bucket_ready";
BucketLayout place_communication(Graph& graph, const std::vector<Value>& leaves, std::size_t bucket_bytes,
                                 const std::vector<Value>& rounded = {});

/// What the backward part makes again instead of keeping it (Chen et al. 2016, "Training deep nets with sublinear memory cost").
enum class Recompute {
  off,
  cheap,   // results of ops without multiply-adds: norms with their ReLUs, concatenations, sums, pools
  blocks   // all but what crosses a few cuts of the forward part, whole segments at a time, convolutions too
};
/// Puts copies of forward ops in front of the backward ops that first read what they make, and lets the backward part read
/// the copies, so that the first results die early. A copy does what its op does on the same operands: no bit changes. Never
/// made again: losses, metrics, data, random paths' weights, sums over the batch; the statistics of norms are kept.
/// To be called on a training graph, after fuse. The graph stays as it is where none of this needs less memory. Value ids stay.
void recompute(Graph& graph, Recompute what, const std::vector<Value>& leaves);

/// Where each arena value lies. Values that live at the same time do not overlap; views share their source's place.
struct MemoryPlan {
  struct Place {
    bool in_arena = false;
    std::size_t offset = 0;        // bytes from the arena's begin, a multiple of 64
    std::size_t size = 0;
    int first_op = 0;              // the op that writes it
    int last_op = 0;               // the last op that reads it (its own op if nobody does)
    int alias_of = -1;             // value whose memory this one shares (reshape, in place)
  };
  std::vector<Place> places;       // by value id
  std::size_t arena_bytes = 0;
};
/// `outside`: values that are bound to memory of the caller (leaves); inputs, parameters, states, constants are too.
/// `keep`: values to be read after the program has run.
/// `in_place[op]` pairs (input, output) that may share memory (from Kernel::runs_in_place).
MemoryPlan plan_memory(const Graph& graph, const std::vector<Value>& outside, const std::vector<Value>& keep,
                       const std::vector<std::vector<std::pair<int, int>>>& in_place = {});

}  // namespace convoy
