#pragma once
// The gradient reduction between the devices of the ranks (design: section 4). Each rank's own micro-batches are summed on
// its device by Device::fold; what is left to do here is to turn the sums of its subtrees into the root, on every rank.
// The same tree as on hosts, so the same bits.
//
// A step, as the engine drives it, on the thread that the device belongs to:
//
//   begin(step)                      host
//   micro-batches but the last       enqueued
//   the last micro-batch:            enqueued op by op, or replayed
//     bucket_ready(0), bucket_ready(1), ...      each where the bucket's sums are complete on the compute stream
//     finish()                                   at its end
//   the update                       enqueued; reads result(bucket)
//
// Where can_be_captured() holds, the calls from bucket_ready(0) to finish() are made once, inside Device::capture, and
// happen with each launch; begin(step) comes before every launch all the same. Else they are made every step.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/backend/device.h"
#include "distributed/communicator.h"
#include "distributed/reduction.h"

namespace convoy {

/// One bucket as it lies on a rank's device.
struct DeviceBucket {
  /// f32 [elements] each, 64-byte aligned: of subtrees_inside(the rank's share), in leaf order, complete when
  /// bucket_ready is enqueued. The reduction may overwrite them until the step's update has begun.
  std::vector<float*> sums;
  std::size_t elements = 0;
  SumRounding rounding = SumRounding::none;  // of every leaf and sum; `sums` are rounded already
};

struct DeviceReductionOptions {
  ReductionKind kind = ReductionKind::deterministic;
  int virtual_workers = 1;
  std::vector<DeviceBucket> buckets;
  /// Fault injection: called by the host before each bucket's exchange, where the host takes part in it, else by begin().
  std::function<void(std::int64_t step)> before_exchange;
};

/// Threads: one, the device's. Ranks make the same calls in the same order.
class DeviceReduction {
 public:
  virtual ~DeviceReduction() = default;
  /// Whether bucket_ready and finish enqueue all their work, without the host, so that they may stand in a capture.
  virtual bool can_be_captured() const = 0;
  /// Where the bucket's root will stand: fixed from the start, so that the update can be captured. Often one of the sums.
  virtual float* result(int bucket) const = 0;
  /// Rethrows what ended an earlier step.
  virtual void begin(std::int64_t step) = 0;
  /// The sums of `bucket` are complete where the compute stream stands now. Once for each bucket, in the order of their
  /// numbers.
  virtual void bucket_ready(int bucket) = 0;
  /// The compute stream goes on only with all roots in place. Without can_be_captured() the host may exchange here, and
  /// waits for peers with the communicator's deadline (PeerError).
  virtual void finish() = 0;
  /// Throws what went wrong in the meantime (LibraryError, PeerError). Called again and again while the host waits for
  /// the device, so that a dead peer does not hang it.
  virtual void check() = 0;
  /// Seconds of exchange while the device had nothing to compute, and seconds of exchange, in all since the start; 0 where
  /// the host takes no part.
  virtual double exposed_seconds() const = 0;
  virtual double communication_seconds() const = 0;
  /// When the host saw this rank's last bucket of the newest step complete (trace::now()); -1: it does not look.
  virtual std::int64_t arrival_ns() const { return -1; }
  /// What it takes of the device's memory besides the buckets' sums.
  virtual std::size_t memory_bytes() const = 0;
};

/// Through the host: sums are copied to staging memory, exchanged as on hosts (any library, any number of ranks per
/// device), and copied back. Of one rank: nothing is copied. Collective; splits a communicator of its own off
/// `communicator`, whose deadline it follows. `device` outlives it, and so do the buckets' sums.
std::unique_ptr<DeviceReduction> make_staged_reduction(Communicator& communicator, Device& device,
                                                       const DeviceReductionOptions& options);

}  // namespace convoy
