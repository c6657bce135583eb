#include "support/emulated_nccl.h"

#include <nccl.h>

#include "distributed/nccl/nccl_communicator.h"

namespace convoy::test {

std::unique_ptr<DeviceCommunicator> make_emulated_nccl_communicator(Communicator& communicator, Device& device) {
  nccl_emulator::set_transport(communicator);
  return nccl::make_communicator(communicator, device);
}
void break_emulated_nccl(int rank, bool broken) {
  nccl_emulator::break_rank(rank, broken ? ncclRemoteError : ncclSuccess);
}
void stall_emulated_nccl(int rank, bool stalls) { nccl_emulator::stall_rank(rank, stalls); }
int live_nccl_communicators() { return nccl_emulator::live_communicators(); }
int aborted_nccl_communicators() { return nccl_emulator::aborted_communicators(); }

}  // namespace convoy::test
