#pragma once
// A device reduction against a plain recursive tree, whatever the device and the communicator.
#include <functional>
#include <vector>

#include "distributed/device_reduction.h"

namespace convoy {

struct DeviceReductionCase {
  int virtual_workers = 1;
  std::vector<std::int64_t> buckets;
  std::vector<SumRounding> rounding;  // by bucket
  int steps = 2;
  bool captured = false;  // the steps are launches of one capture
  ReductionKind kind = ReductionKind::deterministic;
};

using MakeReduction = std::function<std::unique_ptr<DeviceReduction>(const DeviceReductionOptions&)>;

/// Runs the steps on this rank and expects the tree's bits in every bucket (for fast: the sum within rounding).
void check_device_reduction(Communicator& world, Device& device, const MakeReduction& make,
                            const DeviceReductionCase& spec);

}  // namespace convoy
