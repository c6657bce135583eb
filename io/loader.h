#pragma once
// Delivers micro-batches of the training stream (design: section 4) or of an evaluation, in the order asked for,
// read ahead by prefetch threads. Samples come as stored, with a record per sample of the random transform that the
// op `prepare` applies.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/augment.h"
#include "io/dataset.h"

namespace convoy {

/// The order of the training stream: sample index of position p. Pure function of (seed, variant, N).
///
/// With key = RandomKey(seed, "order").child(epoch) and q = p mod N:
///   full-v1      index = Permutation(key, N)(q)
///   blocks-v1:K  the ceil(N/K) blocks of K stored neighbours (the last may be shorter) are lined up in the order of
///                Permutation(key.child(0), blocks); windows of 16 of them are taken one after the other, and inside
///                window w, which holds n samples, the i-th is the one at Permutation(key.child(1 + w), n)(i).
/// Immutable; safe to share between threads.
class SampleOrder {
 public:
  /// `variant`: "full-v1" or "blocks-v1:K", K >= 1. Throws UsageError: another name, no samples.
  SampleOrder(std::uint64_t seed, std::int64_t samples, const std::string& variant);
  ~SampleOrder();
  SampleOrder(SampleOrder&&) noexcept;
  std::int64_t index_at(std::int64_t position) const;
  /// Indices of the positions [first, first + out.size()); cheaper than one by one.
  void indices(std::int64_t first, std::span<std::int64_t> out) const;
  std::int64_t epoch_at(std::int64_t position) const { return position / samples_; }

 private:
  struct State;
  std::int64_t samples_;
  std::unique_ptr<State> state_;
};

/// One micro-batch. Tensors have b = micro-batch rows.
struct MicroBatch {
  std::int64_t step = 0;                  // or the block number of an evaluation
  int index = 0;                          // virtual worker
  Tensor images;                          // [b, s.., c] as stored; views with their colours changed
  Tensor labels;                          // i32 [b]
  Tensor weights;                         // f32 [b]; 0 for padding rows
  Tensor partner_labels, partner_weights; // i32, f32 [b]: mixup's second label, with 1 less the first one's weight; else 0
  Tensor transforms;                      // i32 [b, 4]: offsets and flips (op prepare)
  Tensor keys;                            // u64 [b, 2]: epoch, sample id (op dropout)
  std::vector<std::int64_t> indices;      // sample index per row; -1 for padding rows
};

struct TrainingStream {
  std::uint64_t order_seed = 0;
  std::string order = "full-v1";
  AugmentOptions augment;
  std::int64_t batch = 0;                 // B
  int virtual_workers = 1;                // V
  int first_worker = 0, last_worker = 1;  // this rank holds micro-batches [first, last)
  std::int64_t first_step = 0, last_step = 0;  // [first, last)
};

/// Reads ahead. Threads end at destruction, also in the midst of reading; micro-batches that callers still hold stay
/// valid after it. In the steady state nothing is allocated: buffers go round.
class Loader {
 public:
  virtual ~Loader() = default;
  /// Micro-batch `index` of `step`. Called in the order of the stream by any number of threads; each (step, index) once.
  /// Rethrows DataError of a prefetch thread. The returned buffers are reused after the pointer is released.
  virtual std::shared_ptr<MicroBatch> next(std::int64_t step, int index) = 0;
  /// Seconds that callers of next() waited in all.
  virtual double wait_seconds() const = 0;
};

struct LoaderOptions {
  int threads = 1;                        // prefetch threads; 0: next() itself reads
  int depth = 2;                          // steps read ahead
};
/// `dataset` must outlive the loader. Throws UsageError: B > N, B not divisible by V, workers or steps that are none, a
/// crop larger than the padded image.
std::unique_ptr<Loader> make_training_loader(const Dataset& dataset, const TrainingStream& stream,
                                             const LoaderOptions& options);
/// Evaluation: blocks [first, last) of `block` samples in index order; the last block is padded with weight 0 (zero bytes,
/// label 0, index -1). next(b, 0) is block b.
std::unique_ptr<Loader> make_evaluation_loader(const Dataset& dataset, std::int64_t block, std::int64_t first_block,
                                               std::int64_t last_block, const AugmentOptions& augment,
                                               const LoaderOptions& options);

}  // namespace convoy
