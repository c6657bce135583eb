#include "distributed/nccl/check.h"

#include "core/tensor/error.h"

namespace convoy::nccl {

std::string words_for(ncclResult_t status, ncclComm_t communicator) {
  std::string words = std::string("NCCL: ") + ncclGetErrorString(status);
  const char* const last = ncclGetLastError(communicator);
  if (last != nullptr && *last != '\0') words += std::string(" (") + last + ")";
  return words + "; NCCL_DEBUG=WARN says more";
}

void check(ncclResult_t status, const char* call, const char* file, int line) {
  if (status == ncclSuccess || status == ncclInProgress) return;
  throw LibraryError(std::string(call) + ": " + words_for(status, nullptr) + " [" + file + ":" + std::to_string(line) + "]");
}

}  // namespace convoy::nccl
