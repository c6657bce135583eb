#pragma once
// Which way sums travel between the devices of the ranks. The deterministic reduction gives the same bits either way.
#include <functional>
#include <memory>
#include <string>

#include "distributed/device_reduction.h"

namespace convoy {

enum class DeviceTransport {
  automatic,  // nccl where every rank has it and no two ranks share a device; else host
  nccl,       // from device to device (device_tree_reduction.h)
  host        // through the hosts' memory and MPI (make_staged_reduction)
};

struct TransportOptions {
  DeviceTransport transport = DeviceTransport::host;
  bool shares_device = false;  // some ranks compute on one device (--share-gpu)
  bool one_host = false;       // all ranks are on one host
  std::function<void(const std::string&)> tell = {};  // why automatic chose the hosts; null: nobody wants to hear
};

/// Collective: what fails on one rank (the module, NCCL's start) is thrown on every rank, or answered by all with the hosts'
/// way. A world of one, and a device that is the host, need no transport.
std::unique_ptr<DeviceReduction> make_device_reduction(Communicator& world, Device& device,
                                                       const DeviceReductionOptions& options,
                                                       const TransportOptions& transport);

}  // namespace convoy
