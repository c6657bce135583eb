#pragma once
// A stand-in for NCCL on the emulated CUDA runtime (../cuda_emulator): the part of its interface that distributed/nccl/ calls,
// between ranks that are threads or processes, over their Communicator. As with the real one and blocking = 0, a call only
// begins what it is for: messages are put on their streams when ncclCommGetAsyncError is next asked, and until it then says
// ncclSuccess no other call is allowed (ncclInvalidUsage). Messages of a group meet when both streams have reached them. A graph
// that they were captured into keeps the communicator: ncclCommFinalize stays under way, ncclCommDestroy and ncclCommAbort do not
// return until the graph and its executables are destroyed.
#include <cuda_runtime.h>

#include <climits>
#include <cstddef>

#define NCCL_VERSION(X, Y, Z) ((X) * 10000 + (Y) * 100 + (Z))
#define NCCL_UNIQUE_ID_BYTES 128

struct ncclComm;
using ncclComm_t = ncclComm*;
struct ncclUniqueId {
  char internal[NCCL_UNIQUE_ID_BYTES];
};

enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
};
enum ncclDataType_t { ncclInt8 = 0, ncclFloat = 7 };
enum ncclRedOp_t { ncclSum = 0 };

struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  { INT_MIN }

ncclResult_t ncclGetVersion(int* version);
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config);
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
ncclResult_t ncclCommAbort(ncclComm_t comm);
const char* ncclGetErrorString(ncclResult_t result);
const char* ncclGetLastError(ncclComm_t comm);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error);
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream);
ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream);

namespace convoy {
class Communicator;
}

namespace nccl_emulator {

/// What communicators that this thread starts from here on talk over; it outlives them.
void set_transport(convoy::Communicator& communicator);
/// From here on every communicator of this rank reports the error; ncclSuccess: none does.
void break_rank(int rank, ncclResult_t error);
/// What communicators of this rank have begun stays under way: ncclInProgress for ever, or again as it is.
void stall_rank(int rank, bool stalls);
/// Communicators that were neither destroyed nor aborted.
int live_communicators();
/// How many were aborted, in all.
int aborted_communicators();

}  // namespace nccl_emulator
