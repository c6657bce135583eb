#pragma once
// The NCCL communicator with its library on the CPU: the same source on an emulated NCCL (nccl_emulator/), between ranks that
// are threads or processes, each with an emulated device (emulated_cuda.h).
#include <memory>

#include "distributed/device_communicator.h"

namespace convoy::test {

std::unique_ptr<DeviceCommunicator> make_emulated_nccl_communicator(Communicator& communicator, Device& device);
/// From here on the library reports "remote process exited" on this rank, or nothing any more.
void break_emulated_nccl(int rank, bool broken);
/// From here on nothing that this rank begins gets under way, or all does again.
void stall_emulated_nccl(int rank, bool stalls);
/// Communicators that were neither destroyed nor aborted; and how many were aborted, in all.
int live_nccl_communicators();
int aborted_nccl_communicators();

}  // namespace convoy::test
