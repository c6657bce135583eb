#pragma once
// DeviceCommunicator over NCCL. The communicator does not block (ncclConfig_t::blocking = 0), so that no call of the host
// waits for a peer without a deadline.
#include <memory>
#include <string>

#include "distributed/device_communicator.h"

namespace convoy::nccl {

/// "2.28.9"
std::string version();

/// See make_nccl_communicator (distributed/nccl_module.h).
std::unique_ptr<DeviceCommunicator> make_communicator(Communicator& communicator, Device& device);

}  // namespace convoy::nccl
