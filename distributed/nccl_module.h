#pragma once
// Messages between devices by NVIDIA's NCCL, where it is there: a module (core/backend/module.h). This file is all that the
// binary knows of it.
#include <functional>
#include <memory>
#include <string>

#include "core/backend/module.h"
#include "distributed/device_communicator.h"

namespace convoy {

/// Loads the module at its first call. One line that says why there is no NCCL; empty: there is. Throws nothing.
std::string why_no_nccl();

/// Collective over `communicator`, whose ranks the new one has, in their order. All of them start NCCL by `communicator`'s
/// deadline and exchange a first message with everybody, so that nothing is left to be connected when a step is captured;
/// PeerError where ranks do not come, LibraryError where NCCL fails, UsageError where their NCCLs are of different versions.
/// The calling thread's device is the one that messages are for. `communicator` and `device` outlive it.
std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& communicator, Device& device);

/// What make_nccl_communicator makes from now on, in place of NCCL's, and no module is looked for: for test programs.
void set_nccl_maker(std::function<std::unique_ptr<DeviceCommunicator>(Communicator&, Device&)> maker);

/// NCCL refuses two ranks on one device ("Duplicate GPU detected") unless it takes them to be on two hosts; they then talk
/// by sockets. Its makers do not support that, and the kernels of the two take turns: it serves tests on machines with too
/// few devices. Sets this process's environment (NCCL_HOSTID, and what goes with it where the user has not set it), so it comes
/// before NCCL's first call. `one_host`: all ranks are on this host, so the loopback interface will do.
void let_ranks_share_a_device(int rank, bool one_host);

/// What convoy_nccl_module() returns.
struct NcclModule {
  ModuleHead head;
  std::string (*version)();
  std::unique_ptr<DeviceCommunicator> (*make)(Communicator& communicator, Device& device);
};

}  // namespace convoy
