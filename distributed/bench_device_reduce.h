#pragma once
// How long the gradient reduction takes between devices, beside the library's own all-reduce.
#include <functional>
#include <memory>

#include "distributed/bench_reduce.h"
#include "distributed/device_communicator.h"

namespace convoy {

/// Collective; ways alternate in each repetition. In this order, each in place on the device: "deterministic", with rounding
/// "deterministic bf16", "through the hosts" (make_staged_reduction), and `library` (one all_reduce_fast of the whole gradient:
/// "ncclAllReduce"). One leaf a rank. `make`: a communicator between the devices; null: there is none, and only the way
/// through the hosts is measured. Inputs and the numbers are those of bench_reduce.
std::vector<BenchReduceResult> bench_device_reduce(Communicator& communicator, Device& device,
                                                   const BenchReduceOptions& options, const std::string& library,
                                                   const std::function<std::unique_ptr<DeviceCommunicator>()>& make);

}  // namespace convoy
