#pragma once
// The device reduction without the host: messages and additions are enqueued on the communication stream, so that all of it
// can stand in a captured program. The same tree as on hosts (direct_exchange.cpp), so the same bits.
#include <memory>

#include "distributed/device_communicator.h"
#include "distributed/device_reduction.h"

namespace convoy {

/// `communicator`: of the ranks of `world`, in their order; of R ranks. For each bucket
///   1. every rank sends, of each of its subtrees, slice q to rank q (one group of messages);
///   2. rank q adds them up in tree order;
///   3. every rank sends its finished slice to all (one group).
/// With one subtree a rank that is 2 (R - 1) / R of the bucket out and in, 4 bytes an element, or 2 where sums are rounded to
/// bf16. ReductionKind::fast: the library's all-reduce of each rank's own sum (made once at the start, on whatever the sums hold).
/// With R = 1 nothing is sent or copied, and
/// `communicator` may be null.
///
/// A thread watches the communicator: at an error it is aborted, and check() and every other call throw. `device`, `world`
/// and the buckets' sums outlive the reduction, whose destructor waits for a healthy exchange under way, but for no other.
std::unique_ptr<DeviceReduction> make_device_tree_reduction(Communicator& world,
                                                            std::unique_ptr<DeviceCommunicator> communicator, Device& device,
                                                            const DeviceReductionOptions& options);

}  // namespace convoy
